"""The store: what the controller knows of artifacts, tasks, devices, jobs and rounds, in one SQLite file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import insert, select

from steelyard.errors import UsageError
from steelyard.store import (
    artifacts,
    counts,
    devices,
    finished_steps,
    host_scores,
    jobs,
    numeric_outputs,
    removed_samples,
    rounds,
    schema,
    sessions,
    tasks,
    traces,
)
from steelyard.store.access import AccessRecords
from steelyard.store.database import Database
from steelyard.store.experiments import Experiments
from steelyard.store.fleet_records import FleetRecords
from steelyard.store.migrate import is_current, migrate
from steelyard.store.names import require_identifier
from steelyard.store.nightly_records import NightlyRecords
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2


class Store:
    """Synchronous, for the one thread that opened it; every method is one transaction.

    A method that writes returns once its change is on the disk, except inside ``batch``, where that is the end of the
    batch. Messages that come in are copied, messages that go out belong to the caller.

    Raises:
        StoreError: From every method, when the database is full, read-only, damaged, busy, newer or foreign.
    """

    def __init__(self, path: Path, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Open the file, or make it, and bring it to this program's schema.

        Args:
            path: The SQLite file; its folder must exist.
            clock_ns: Nanoseconds since the epoch, for what is created without a time.
        """
        self._clock_ns = clock_ns
        self._database = Database(path)
        self.access = AccessRecords(self._database, clock_ns)
        self.fleet = FleetRecords(self._database, clock_ns)
        self.nightly = NightlyRecords(self._database, clock_ns)
        self.experiments = Experiments(self._database, clock_ns)
        try:
            self._open(path)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Let the calls inside share one commit: all are on the disk at the end of the context, or none."""
        with self._database.batch():
            yield

    def controller_id(self, new_id: str) -> str:
        """Return the id that this database's controller has for good: the first ``new_id`` that was ever given."""
        known = select(schema.meta.c.value).where(schema.meta.c.key == "controller_id")
        with self._database.write() as connection:
            controller_id = connection.scalar(known)
            if controller_id is None:
                controller_id = require_identifier(new_id, "controller id")
                connection.execute(insert(schema.meta).values(key="controller_id", value=controller_id))
            return str(controller_id)

    def put_artifact(self, artifact: control_pb2.Artifact) -> control_pb2.Artifact:
        """Keep an artifact under its digest and return what is stored.

        The same bytes give the same artifact: the first name stays, and a lineage is added if it was missing.

        Raises:
            UsageError: ``invalid_digest``, ``invalid_name`` or ``invalid_artifact``.
        """
        with self._database.write() as connection:
            return artifacts.put(connection, artifact, self._clock_ns)

    def find_artifact(self, text: str) -> control_pb2.Artifact:
        """Find an artifact by its digest, its name (the newest of that name), or the first 4 or more of its digest.

        A name wins over the beginning of a digest, because nothing else reaches it.

        Raises:
            NotFoundError: ``artifact_not_found``, with the nearest names.
            UsageError: ``ambiguous_artifact``.
        """
        with self._database.read() as connection:
            return artifacts.find(connection, text)

    def list_artifacts(self, page_size: int = 0, page_token: str = "") -> tuple[list[control_pb2.Artifact], str]:
        """List artifacts, the newest first, with the token of the next page ("" after the last).

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            return artifacts.page(connection, page_size, page_token)

    def put_task(self, task: control_pb2.Task) -> control_pb2.Task:
        """Keep a task and return it; without an id it gets one from its content. The same task twice is one task.

        Raises:
            UsageError: ``task_exists`` when the id has other content; ``invalid_digest``, ``invalid_name``,
                ``invalid_identifier`` or ``invalid_task``.
        """
        with self._database.write() as connection:
            return tasks.put(connection, task)

    def get_task(self, task_id: str) -> control_pb2.Task:
        """Return the task with this id.

        Raises:
            NotFoundError: ``task_not_found``.
        """
        with self._database.read() as connection:
            return tasks.get(connection, task_id)

    def put_device(
        self, description: common_pb2.DeviceDescription, agent_version: str, seen_at_ns: int | None = None
    ) -> None:
        """Keep what a device says of itself, the latest description of each id.

        ``seen_at_ns`` is in nanoseconds since the epoch, None for now; whether it is online lives in memory. Raises
        UsageError: ``invalid_identifier`` or ``invalid_name``.
        """
        with self._database.write() as connection:
            seen_at_ns = self._clock_ns() if seen_at_ns is None else seen_at_ns
            devices.put(connection, description, agent_version, seen_at_ns)

    def find_device(self, text: str) -> control_pb2.Device:
        """Find a device by its id, its name, or the first 4 or more characters of its id.

        Raises:
            NotFoundError: ``device_not_found``, with the nearest names.
            UsageError: ``ambiguous_device`` when several have the name or begin so.
        """
        with self._database.read() as connection:
            return devices.find(connection, text)

    def list_devices(self, page_size: int = 0, page_token: str = "") -> tuple[list[control_pb2.Device], str]:
        """List devices in the order in which they were first seen, with the token of the next page.

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            return devices.page(connection, page_size, page_token)

    def create_job(self, job: control_pb2.Job, request: bytes, request_id: str) -> tuple[control_pb2.Job, bool]:
        """Keep a job, QUEUED unless it says otherwise, with the request that asked for it.

        Returns:
            The stored job, and whether it is new: the same ``request_id`` gives the job that it made before.

        Raises:
            UsageError: ``job_exists``, ``request_id_reused``, ``invalid_identifier`` or ``invalid_job``.
        """
        with self._database.write() as connection:
            return jobs.create(connection, job, request, request_id, self._clock_ns)

    def get_job(self, job_id: str) -> control_pb2.Job:
        """Return a job by its id, or by the first 4 or more characters of one.

        Raises:
            NotFoundError: ``job_not_found``.
            UsageError: ``ambiguous_job``.
        """
        with self._database.read() as connection:
            return jobs.get(connection, jobs.resolve(connection, job_id))

    def get_request(self, job_id: str) -> bytes:
        """Return the serialized request that made a job; ``job_id`` as in ``get_job``."""
        with self._database.read() as connection:
            return jobs.get_request(connection, jobs.resolve(connection, job_id))

    def extensions_of(self, job_id: str) -> list[str]:
        """Return the ids of the measurements that extend a job, the oldest first; ``job_id`` as in ``get_job``."""
        with self._database.read() as connection:
            return jobs.extensions(connection, jobs.resolve(connection, job_id))

    def list_jobs(self, page_size: int = 0, page_token: str = "") -> tuple[list[control_pb2.Job], str]:
        """List jobs, the newest first, with the token of the next page ("" after the last).

        Raises:
            UsageError: ``invalid_page_size`` or ``invalid_page_token``.
        """
        with self._database.read() as connection:
            return jobs.page(connection, page_size, page_token)

    def unfinished_jobs(self) -> list[control_pb2.Job]:
        """List the jobs that are in no final state, the oldest first: what a restarted controller goes on with."""
        with self._database.read() as connection:
            return jobs.unfinished(connection)

    def transition(
        self,
        job_id: str,
        state: control_pb2.JobState.ValueType,
        *,
        message: str,
        error: common_pb2.ErrorInfo | None = None,
        done: int = 0,
        total: int = 0,
        variant_digest: str = "",
        steps: Sequence[control_pb2.LineageStep] = (),
        attempt: int | None = None,
        failed_attempt: control_pb2.FailedAttempt | None = None,
    ) -> control_pb2.JobEvent | None:
        """Set a job's state and append the event that says so, in one transaction.

        Returns:
            The event with its cursor; None, and nothing changes, when the job is already in a final state.

        Raises:
            NotFoundError: ``job_not_found``; ``job_id`` must be whole.
            UsageError: ``invalid_job_state``.
        """
        event = self._event(message, done, total)
        with self._database.write() as connection:
            return jobs.transition(
                connection,
                job_id,
                state,
                event=event,
                error=error,
                variant_digest=variant_digest,
                steps=steps,
                attempt=attempt,
                failed_attempt=failed_attempt,
            )

    def append_event(self, job_id: str, message: str, done: int = 0, total: int = 0) -> control_pb2.JobEvent | None:
        """Append a line to a job's log in its present state; None when the job is already in a final state.

        Raises:
            NotFoundError: ``job_not_found``; ``job_id`` must be whole.
        """
        event = self._event(message, done, total)
        with self._database.write() as connection:
            return jobs.append_event(connection, job_id, event)

    def list_events(self, job_id: str, after_cursor: int = 0, limit: int = 1_000) -> list[control_pb2.JobEvent]:
        """Return a job's events after a cursor, the oldest first, ``limit`` at most; ``job_id`` as in ``get_job``.

        Raises:
            UsageError: ``invalid_limit`` below 1.
        """
        if limit < 1:
            raise UsageError("invalid_limit", f"a list of {limit} events is none; ask for 1 or more")
        with self._database.read() as connection:
            return jobs.list_events(connection, jobs.resolve(connection, job_id), after_cursor, limit)

    def record_round(self, key: result_pb2.ResultKey, *, segment: int, result_digest: str, recorded_at_ns: int) -> bool:
        """Record under which digest the result of a round lies, once for each key, and say whether it is new.

        A repeat is ignored, whatever it brings: the first result stays.

        Raises:
            NotFoundError: ``job_not_found``.
            UsageError: ``invalid_digest`` or ``invalid_round``.
        """
        with self._database.write() as connection:
            jobs.get(connection, key.job_id)
            return rounds.record(
                connection, key, segment=segment, result_digest=result_digest, recorded_at_ns=recorded_at_ns
            )

    def list_rounds(self, job_id: str) -> list[control_pb2.RoundReference]:
        """List what was recorded for a job, by attempt, pass and round; ``job_id`` as in ``get_job``."""
        with self._database.read() as connection:
            return rounds.references(connection, jobs.resolve(connection, job_id))

    def recorded_keys(self, job_id: str) -> list[result_pb2.ResultKey]:
        """List the keys of what was recorded for the job with this whole id, in the order of ``list_rounds``.

        Nothing for a job that nobody knows: a device may ask about a job of a store that was lost.
        """
        with self._database.read() as connection:
            return [reference.key for reference in rounds.references(connection, job_id)]

    def record_trace(self, job_id: str, meter: str, trace_digest: str) -> None:
        """Record under which digest a trace of a meter of a job lies; a job may have several of one meter.

        Raises:
            NotFoundError: ``job_not_found``; ``job_id`` must be whole.
            UsageError: ``invalid_digest``.
        """
        with self._database.write() as connection:
            jobs.get(connection, job_id)
            traces.record(connection, job_id, meter, trace_digest, self._clock_ns())

    def list_traces(self, job_id: str) -> list[control_pb2.MeterTraceReference]:
        """List the meter traces of a job, the oldest first; ``job_id`` as in ``get_job``."""
        with self._database.read() as connection:
            return traces.references(connection, jobs.resolve(connection, job_id))

    def remove_samples(self, job_id: str, measurement_digest: str, removed_at_ns: int) -> None:
        """Let go of what was recorded until then for the job with this whole id; its measurement takes that place.

        Raises:
            UsageError: ``invalid_digest``.
        """
        with self._database.write() as connection:
            removed_samples.record(connection, job_id, measurement_digest, removed_at_ns)

    def removed_samples(self, job_id: str) -> removed_samples.RemovedSamples | None:
        """Return what is left of the job with this whole id; None while its samples are here."""
        with self._database.read() as connection:
            return removed_samples.find(connection, job_id)

    def sampled_before(self, finished_before_ns: int) -> list[control_pb2.Job]:
        """List measurements whose samples can go: ended before a time, as all that extend them, which come first."""
        with self._database.read() as connection:
            return removed_samples.removable(connection, finished_before_ns)

    def counts(self) -> counts.Counts:
        """Count jobs by kind and state, rounds, artifacts and devices."""
        with self._database.read() as connection:
            return counts.count(connection)

    def record_numeric(self, one: numeric_outputs.NumericOutputs) -> None:
        """Record where the outputs of a numeric check lie; those of the same run of the same job are replaced."""
        with self._database.write() as connection:
            numeric_outputs.record(connection, one, self._clock_ns())

    def list_numeric(self, artifact_digest: str, data_digest: str) -> list[numeric_outputs.NumericOutputs]:
        """List what an artifact answered to some data, on every device and on the controller, the oldest first."""
        with self._database.read() as connection:
            return numeric_outputs.find(connection, artifact_digest, data_digest)

    def record_sessions(self, device_id: str, figures: Sequence[control_pb2.PastSession]) -> None:
        """Record what a session left behind; figures of the same job and series are replaced."""
        with self._database.write() as connection:
            sessions.record(connection, device_id, figures, self._clock_ns())

    def past_sessions(
        self, device_id: str, *, before_ns: int, excluded_job_ids: Collection[str]
    ) -> list[control_pb2.PastSession]:
        """List figures of the last sessions of a device, and of those it replaced, before a time; the oldest first."""
        with self._database.read() as connection:
            return sessions.find(connection, device_id, before_ns, excluded_job_ids)

    def record_step(self, one: finished_steps.StepRecord) -> None:
        """Record what a step of a recipe gave; the record of the same key is replaced."""
        with self._database.write() as connection:
            finished_steps.record(connection, one, self._clock_ns())

    def find_step(self, key: str) -> finished_steps.StepRecord | None:
        """Return what the step of this key gave, None where it was never run."""
        with self._database.read() as connection:
            return finished_steps.find(connection, key)

    def steps_alike(self, loose_key: str) -> list[finished_steps.StepRecord]:
        """List what the same step of the same input gave under whatever tools, the newest first."""
        with self._database.read() as connection:
            return finished_steps.alike(connection, loose_key)

    def record_score(self, key: str, score: control_pb2.StepEvaluation) -> None:
        """Record what a model scored on the controller; the record of the same key is replaced."""
        with self._database.write() as connection:
            host_scores.record(connection, key, score, self._clock_ns())

    def find_score(self, key: str) -> control_pb2.StepEvaluation | None:
        """Return the score of this key, None where there is none."""
        with self._database.read() as connection:
            return host_scores.find(connection, key)

    def _event(self, message: str, done: int, total: int) -> control_pb2.JobEvent:
        event = control_pb2.JobEvent(message=message, done=done, total=total)
        event.at.FromNanoseconds(self._clock_ns())
        return event

    def _open(self, path: Path) -> None:
        # Looks first and writes only what is missing: a current database opens on a full disk, too.
        with self._database.read() as connection:
            current = is_current(connection)
        if not current:
            with self._database.write() as connection:
                migrate(connection, path)
