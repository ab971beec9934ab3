"""Every job of this controller: taken in, run as a task of its own, cancelled, and resumed by the next controller."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from steelyard.analysis.scoring import score_of
from steelyard.analysis.session_history import session_figures
from steelyard.analysis.stop import StopPolicy
from steelyard.compress.recipe_text import parse_recipe
from steelyard.control.assigning import Assigner
from steelyard.control.compression_job import compress_job
from steelyard.control.energy_plan import energy_round_count, reads_energy, settle_window
from steelyard.control.intake import complete_measurement, plan_digests, recipe_with_data
from steelyard.control.job_end import JobEnd
from steelyard.control.job_world import JobWorld
from steelyard.control.latency_oracle import check_measured
from steelyard.control.measurement_job import JobContext, MeasurementJob
from steelyard.control.meter_watch import MeterWatch
from steelyard.control.numeric_run import keep_numeric
from steelyard.control.passes import passes_after, passes_before
from steelyard.control.pools import parse_pool
from steelyard.control.retries import RetryRule, keep_failed_attempt
from steelyard.control.state_clock import StateClock, limited
from steelyard.control.token_scope import require_in_scope, submitter
from steelyard.control.unrecorded_ends import UnrecordedEnds
from steelyard.errors import NotFoundError, SteelyardError, UsageError
from steelyard.fleet.blob_servicer import BlobRefusedError
from steelyard.log_context import DEVICE_ID, JOB_ID
from steelyard.plugins.files import plugin_files
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

_log = logging.getLogger(__name__)

# Takes a job's state, a line for its log, and how much of how much is done.
_Note = Callable[[control_pb2.JobState.ValueType, str, int, int], Awaitable[None]]

DEFAULT_DEVICE_WAIT_S = 30.0
# A task that was cancelled ends its transfers and its meters; one that does not is left behind.
_CANCEL_GRACE_S = 10.0


class Jobs:
    """Runs jobs. Used from one event loop."""

    def __init__(self, world: JobWorld) -> None:
        self._world = world
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ends = UnrecordedEnds(world.store)
        self._measurements: dict[str, MeasurementJob] = {}
        # Per measurement: its device's id once known, and the blobs that this device may fetch.
        self._leased: dict[str, tuple[str, frozenset[str]]] = {}
        # Per compression: the measurements that it asked for.
        self._parts: dict[str, set[str]] = {}
        self._on_over: Callable[[str], None] | None = None
        self._assigner = Assigner(store=world.store, fleet=world.fleet, devices=world.devices)

    # -- taking in ----------------------------------------------------------------------------------------------

    async def submit_measurement(self, request: control_pb2.SubmitMeasurementRequest) -> control_pb2.Job:
        """Check a measurement, store it, start it.

        Raises:
            UsageError: for a plan that makes no sense, with what to change.
            NotFoundError: for an artifact, task or device that nobody knows.
            IdentityError: where the caller's token does not reach.
        """
        estimated_ms = await complete_measurement(self._world, request)
        # Not before: a measurement that goes on with another one has its device and meters from there.
        await require_in_scope(self._world.store, request)
        job = control_pb2.Job(
            job_id=uuid.uuid4().hex,
            kind=control_pb2.JOB_KIND_MEASUREMENT,
            device=request.device,
            pool=request.device if parse_pool(request.device) else "",
            title=request.title,
            attempt=1,
            estimated_ms=estimated_ms,
            priority=request.priority or common_pb2.JOB_PRIORITY_NORMAL,
        )
        return await self._take_in(job, request.SerializeToString(), request.request_id)

    async def submit_compression(self, request: control_pb2.SubmitCompressionRequest) -> control_pb2.Job:
        """Check a compression, store it, start it.

        Raises:
            UsageError: for a recipe that cannot work.
            NotFoundError: for an artifact, task or device that nobody knows.
            IdentityError: it measures where the caller's token does not reach.
        """
        artifact = await self._world.store.call(Store.find_artifact, request.artifact_digest)
        task = await self._world.store.call(Store.get_task, request.task_id) if request.task_id else None
        if request.device:
            await self._world.devices.check_known(request.device)
        with plugin_files(request.plugin_paths):
            recipe_name = recipe_with_data(request.recipe_toml, task)
            check_measured(request, needs_latency=parse_recipe(request.recipe_toml).needs_latency)
        if request.measurement.device:
            await self._world.devices.check_known(request.measurement.device)
            await require_in_scope(self._world.store, request.measurement)
        job = control_pb2.Job(
            job_id=uuid.uuid4().hex,
            kind=control_pb2.JOB_KIND_COMPRESSION,
            title=f"{recipe_name} of {artifact.name}",
            attempt=1,
        )
        return await self._take_in(job, request.SerializeToString(), request.request_id)

    async def submit_part(self, job_id: str, request: control_pb2.SubmitMeasurementRequest) -> control_pb2.Job:
        """Take in a measurement that the job ``job_id`` needs: it is cancelled with that one.

        Raises:
            SteelyardError: as ``submit_measurement``.
        """
        job = await self.submit_measurement(request)
        self._parts.setdefault(job_id, set()).add(job.job_id)
        return job

    async def _take_in(self, job: control_pb2.Job, request: bytes, request_id: str) -> control_pb2.Job:
        job.temporary = self._world.temporary
        job.submitted_by = submitter()
        stored, created = await self._world.store.call(Store.create_job, job, request, request_id or uuid.uuid4().hex)
        if created:
            self._start(stored, request)
        return stored

    async def resume(self) -> None:
        """Go on with the jobs that the last controller left unfinished."""
        for job in await self._world.store.call(Store.unfinished_jobs):
            request = await self._world.store.call(Store.get_request, job.job_id)
            await self._world.store.call(Store.append_event, job.job_id, "resumed by a new controller")
            if job.kind == control_pb2.JOB_KIND_MEASUREMENT and job.device_id:
                # It may hold its lease still, and go on fetching as soon as it comes in.
                plan = control_pb2.SubmitMeasurementRequest.FromString(request).plan
                self._leased[job.job_id] = (job.device_id, plan_digests(plan))
            self._start(job, request)

    async def end_orphans(self) -> None:
        """End the jobs of commands that died with the controller that they had started for themselves."""
        for job in await self._world.store.call(Store.unfinished_jobs):
            if job.temporary:
                message = "the command that ran this job ended before it; what it finished is kept: submit it again"
                await self._fail(job.job_id, control_pb2.JOB_STATE_CANCELLED, "command_ended", message)

    async def cancel(self, job_id: str) -> control_pb2.Job:
        """Cancel a job; one that has ended stays as it is."""
        job = await self._world.store.call(Store.get_job, job_id)
        measurement = self._measurements.get(job.job_id)
        if measurement is not None:
            measurement.cancel_on_device("cancelled by its user")
        task = self._tasks.get(job.job_id)
        if task is not None:
            task.cancel()
            if (await asyncio.wait({task}, timeout=_CANCEL_GRACE_S))[1]:
                _log.warning("job %s was cancelled and still works after %.0f s", job.job_id, _CANCEL_GRACE_S)
        await self._cancel_parts(job.job_id)
        parts = "steps" if job.kind == control_pb2.JOB_KIND_COMPRESSION else "rounds"
        await self._fail(
            job.job_id,
            control_pb2.JOB_STATE_CANCELLED,
            "cancelled",
            f"cancelled; the {parts} that it finished are kept",
        )
        return self.as_known(await self._world.store.call(Store.get_job, job.job_id))

    async def _cancel_parts(self, job_id: str) -> None:
        for part in self._parts.pop(job_id, set()):
            if self.runs(part):
                await self.cancel(part)

    async def stop(self) -> None:
        """End the tasks; the jobs stay as they are in the store."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def when_over(self, call: Callable[[str], None] | None) -> None:
        """Call this with the id of each job whose task is over; its final state may take a moment more."""
        self._on_over = call

    def runs(self, job_id: str) -> bool:
        """Return whether a job runs here now."""
        return job_id in self._tasks

    # -- who may ------------------------------------------------------------------------------------------------

    async def check_device(self, job_id: str, device_id: str) -> None:
        """Raise BlobRefusedError unless the job runs, or ran, on this device."""
        leased = self._leased.get(job_id)
        if leased is not None and leased[0] == device_id:
            return
        try:
            job = await self._world.store.call(Store.get_job, job_id)
            device = await self._world.store.call(Store.find_device, job.device_id or job.device)
        except NotFoundError as error:
            raise BlobRefusedError("unknown_job", f"no job {job_id[:12]!r} of this device is known here") from error
        if device.description.device_id != device_id:
            raise BlobRefusedError("other_device", f"job {job_id[:12]} belongs to another device")

    def blobs_of(self, job_id: str, device_id: str) -> frozenset[str]:
        """Return the digests that a device may fetch for a job that is leased to it now."""
        leased = self._leased.get(job_id)
        return leased[1] if leased is not None and leased[0] == device_id else frozenset()

    # -- running ------------------------------------------------------------------------------------------------

    def _start(self, job: control_pb2.Job, request: bytes) -> None:
        task = asyncio.create_task(self._guard(job.job_id, job.kind, request))
        self._tasks[job.job_id] = task
        # Not in _guard: a task that is cancelled before its first step runs nothing of it.
        task.add_done_callback(lambda _task: self._forget(job.job_id))

    def _forget(self, job_id: str) -> None:
        self._tasks.pop(job_id, None)
        self._measurements.pop(job_id, None)
        self._leased.pop(job_id, None)
        self._assigner.release(job_id)
        if self._on_over is not None:
            self._on_over(job_id)

    async def _guard(self, job_id: str, kind: control_pb2.JobKind.ValueType, request: bytes) -> None:
        """Run a job so that whatever happens it ends in a final state, a bug of ours included."""
        JOB_ID.set(job_id)
        try:
            async with limited(self._world.limits) as clock:
                if kind == control_pb2.JOB_KIND_MEASUREMENT:
                    await self._measure(job_id, control_pb2.SubmitMeasurementRequest.FromString(request), clock)
                else:
                    compression = control_pb2.SubmitCompressionRequest.FromString(request)
                    heard = partial(clock.told, control_pb2.JOB_STATE_RUNNING)
                    await compress_job(self._world, job_id, compression, jobs=self, heard=heard)
        except JobEnd as end:
            await self._fail(job_id, end.state, end.reason, str(end))
        except UsageError as error:
            await self._fail(job_id, control_pb2.JOB_STATE_USER_ERROR, error.reason, str(error))
        except SteelyardError as error:
            await self._fail(job_id, control_pb2.JOB_STATE_AGENT_ERROR, error.reason, str(error))
        except Exception as error:  # noqa: BLE001  (the top of a task: a bug must end its job, not the controller)
            _log.exception("job %s ended by a bug", job_id)
            message = f"a bug of ours ended the job ({type(error).__name__}: {error}); the controller's log has more"
            await self._fail(job_id, control_pb2.JOB_STATE_AGENT_ERROR, "internal", message)
        await self._cancel_parts(job_id)

    async def _fail(self, job_id: str, state: control_pb2.JobState.ValueType, reason: str, message: str) -> None:
        error = common_pb2.ErrorInfo(reason=reason, message=message)
        await self._ends.record(job_id, state, error)

    def as_known(self, job: control_pb2.Job) -> control_pb2.Job:
        """Return a stored job with its end, also when the store could not take that."""
        return self._ends.as_known(job)

    async def _measure(self, job_id: str, request: control_pb2.SubmitMeasurementRequest, clock: StateClock) -> None:
        world = self._world

        async def note(state: control_pb2.JobState.ValueType, message: str, done: int, total: int) -> None:
            clock.told(state)
            await world.store.call_when_room(Store.transition, job_id, state, message=message, done=done, total=total)

        wait_s = request.device_wait_ms / 1000 or DEFAULT_DEVICE_WAIT_S

        async def wait(message: str) -> None:
            await note(control_pb2.JOB_STATE_QUEUED, message, 0, 0)

        stored = await world.store.call(Store.get_job, job_id)
        device_id = await self._assigner.assign(stored, request.plan, wait_s, tell=wait)
        DEVICE_ID.set(device_id)
        described = await world.devices.description(device_id)
        # Of a device that described itself after the job was submitted.
        settle_window(request, described)
        self._leased[job_id] = (device_id, plan_digests(request.plan))
        task = await world.store.call(Store.get_task, request.task_id) if request.task_id else None
        job = MeasurementJob(
            job_id=job_id,
            device_id=device_id,
            plan=request.plan,
            recorded=await world.results.rounds(job_id),
            context=JobContext(
                fleet=world.fleet,
                note=note,
                decide=StopPolicy.of(
                    request,
                    job_id=job_id,
                    emulated_by=await world.devices.emulated_by(device_id),
                    history=await world.results.history(await world.store.call(Store.get_job, job_id), device_id),
                    score=score_of(task),
                ).decide,
                passes_before=passes_before(
                    request.plan, prepares=await world.devices.prepares(device_id, request.plan)
                ),
                passes_after=passes_after(request.plan),
                energy_round_count=energy_round_count(request, device_tells=reads_energy(described)),
                device_tells_energy=reads_energy(described),
                meters=MeterWatch(request.meters, keep=partial(world.results.record_trace, job_id))
                if request.meters
                else None,
                reload=partial(world.results.rounds, job_id),
                min_round_count=request.min_round_count,
                lost_grace_s=world.lost_grace_s,
                priority=request.priority or common_pb2.JOB_PRIORITY_NORMAL,
                attempt=stored.attempt or 1,
                retries=RetryRule(keep=partial(keep_failed_attempt, world.store, job_id)),
                fence=world.fence,
            ),
        )
        self._measurements[job_id] = job
        await job.run()
        await self._keep(job_id, device_id, request.plan, job, note)

    async def _keep(self, job_id: str, device_id: str, plan: plan_pb2.Plan, job: MeasurementJob, note: _Note) -> None:
        """Store what follows from the rounds of a measurement that ran to its end, and end its job."""
        world, done = self._world, len(job.results()) * len(plan.artifacts)

        async def tell(message: str) -> None:
            await note(control_pb2.JOB_STATE_UPLOADING, message, done, done)

        await keep_numeric(world, plan, job.results(), job_id=job_id, device_id=device_id, tell=tell)
        figures = session_figures(plan, job.results(), job_id)
        await world.store.call_when_room(Store.record_sessions, device_id, figures)
        await note(control_pb2.JOB_STATE_RECORDED, f"done: {job.stop_reason}", done, done)
