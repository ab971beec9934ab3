"""Recording what devices send, once, and reading it back for the analysis."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timezone

from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.record import parse_round, read_record
from steelyard.control.numeric_evidence import numeric_answers
from steelyard.control.plan_layers import layers_of_plan
from steelyard.control.planned_round_check import refuse_unplanned
from steelyard.control.round_check import refuse_nonsense
from steelyard.errors import IncompleteError, NotFoundError, SteelyardError
from steelyard.store.blobs import BlobStore
from steelyard.store.removed_samples import RemovedSamples
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2, measurement_pb2, plan_pb2, result_pb2, session_pb2

# A round of samples is some 100 KiB; 64 artifacts with a million samples each are 256 MiB. It is read whole.
_MOST_ROUND_BYTES = 256 * 1024 * 1024


class Results:
    """Rounds of every job: the blob holds the samples, the store holds that they are recorded."""

    def __init__(self, *, store: AsyncStore, blobs: BlobStore, controller_id: str) -> None:
        self._store = store
        self._blobs = blobs
        self._controller_id = controller_id

    async def record(self, ready: session_pb2.RoundReady) -> result_pb2.RoundResult:
        """Record a round whose blob was uploaded and return what is recorded: at a repeat that of the first time.

        Raises:
            SteelyardError: when the blob is missing, is not a round, makes no sense, or is a round of another job or
                plan.
        """
        if (size_bytes := self._blobs.size(ready.result_digest)) > _MOST_ROUND_BYTES:
            raise SteelyardError(
                "bad_round",
                f"round {ready.key.round_index} has {size_bytes} bytes, more than {_MOST_ROUND_BYTES}: shorten the "
                "sample window",
            )
        result = parse_round(self._blobs.read_bytes(ready.result_digest), ready.result_digest)
        names = (result.job_id, result.attempt, result.pass_kind, result.round_index)
        key = ready.key
        if names != (key.job_id, key.attempt, key.pass_kind, key.round_index):
            raise SteelyardError(
                "wrong_round", f"blob {ready.result_digest[:12]} holds another round than its message says"
            )
        refuse_nonsense(result)
        refuse_unplanned(result, (await self._request(key.job_id)).plan)
        for block in result.blocks:
            if block.outputs_digest and not self._blobs.has(block.outputs_digest):
                raise SteelyardError("outputs_missing", f"the outputs of {block.label} were not uploaded")
        is_new = await self._store.call(
            Store.record_round,
            key,
            segment=result.segment,
            result_digest=ready.result_digest,
            recorded_at_ns=time.time_ns(),
        )
        return result if is_new else await self._recorded_before(key)

    async def _recorded_before(self, key: result_pb2.ResultKey) -> result_pb2.RoundResult:
        references = await self._store.call(Store.list_rounds, key.job_id)
        digest = next(one.result_digest for one in references if one.key == key)
        return parse_round(self._blobs.read_bytes(digest), digest)

    async def recorded(self, keys: list[result_pb2.ResultKey]) -> list[result_pb2.ResultKey]:
        """Return those of ``keys`` that are recorded already."""
        found: list[result_pb2.ResultKey] = []
        for job_id in {key.job_id for key in keys}:
            held = {_identity(key) for key in await self._store.call(Store.recorded_keys, job_id)}
            found += [key for key in keys if _identity(key) in held]
        return found

    async def rounds(self, job_id: str) -> list[result_pb2.RoundResult]:
        """Return every recorded round of a job, those of the jobs that it extends included, with its samples."""
        return [
            parse_round(self._blobs.read_bytes(reference.result_digest), reference.result_digest)
            for reference in await self.references(job_id)
        ]

    async def references(self, job_id: str) -> list[control_pb2.RoundReference]:
        """Name the blobs of a job's rounds, those of the jobs that it extends first.

        A round that reached an earlier job only after this one had measured its own of the same number is left out.

        Raises:
            IncompleteError: ``samples_removed``.
        """
        found: dict[tuple[int, int], control_pb2.RoundReference] = {}
        for one in await self._chain(job_id):
            if (removed := await self._store.call(Store.removed_samples, one)) is not None:
                raise IncompleteError(
                    "samples_removed",
                    f"the raw samples of job {one[:12]} were removed on {_day(removed.removed_at_ns)}; its figures are "
                    "still in `steelyard report`, and new samples take a new measurement",
                )
            for reference in await self._store.call(Store.list_rounds, one):
                found[(reference.key.pass_kind, reference.key.round_index)] = reference
        return list(found.values())

    async def _chain(self, job_id: str) -> list[str]:
        """Return the ids of the jobs that a job extends, the oldest first, and its own."""
        chain: list[str] = []
        while job_id:
            chain.append(job_id)
            job = await self._store.call(Store.get_job, job_id)
            request = control_pb2.SubmitMeasurementRequest()
            if job.kind == control_pb2.JOB_KIND_MEASUREMENT:
                request.ParseFromString(await self._store.call(Store.get_request, job_id))
            job_id = request.extended_job_id
        return chain[::-1]

    async def record_trace(self, job_id: str, trace: control_pb2.MeterTrace) -> None:
        """Keep what an external meter said beside a job.

        Raises:
            StoreError: the disk is full, mostly.
        """
        digest = await asyncio.to_thread(self._blobs.put_bytes, trace.SerializeToString())
        await self._store.call(Store.record_trace, job_id, trace.meter, digest)

    async def measurement(self, job: control_pb2.Job) -> measurement_pb2.Measurement:
        """Compute all that a measurement says from its rounds, or return what was computed before they were removed."""
        removed = await self._store.call(Store.removed_samples, job.job_id)
        if removed is not None:
            return await asyncio.to_thread(self._without_samples, removed)
        record = await self.record_of(job)
        # In a thread: hours of traces are tens of megabytes, aligning them takes seconds, and sessions must not wait.
        return await asyncio.to_thread(lambda: build_measurement(read_record(record, self._blobs.read_bytes)))

    def _without_samples(self, removed: RemovedSamples) -> measurement_pb2.Measurement:
        found = measurement_pb2.Measurement.FromString(self._blobs.read_bytes(removed.measurement_digest))
        found.warnings.append(
            f"the raw samples were removed on {_day(removed.removed_at_ns)}: these figures were computed before and "
            "cannot be checked or extended any more"
        )
        return found

    async def record_of(self, job: control_pb2.Job) -> control_pb2.MeasurementRecord:
        """Return all that a measurement's figures follow from, large things by their digests."""
        request = await self._request(job.job_id)
        chain = await self._chain(job.job_id)
        device = (await self._store.call(Store.find_device, job.device_id or job.device)).description
        record = control_pb2.MeasurementRecord(
            job=job,
            request=request,
            rounds=await self.references(job.job_id),
            traces=[trace for one in chain for trace in await self._store.call(Store.list_traces, one)],
            artifacts=await self._artifacts(request.plan),
            device=device,
            controller_id=self._controller_id,
            layers=await asyncio.to_thread(layers_of_plan, request.plan, self._blobs),
            numeric=await numeric_answers(
                request.plan, job_id=job.job_id, device_id=device.device_id, store=self._store
            ),
        )
        record.history.CopyFrom(await self.history(job, device.device_id))
        if request.task_id:
            record.task.CopyFrom(await self._store.call(Store.get_task, request.task_id))
        for one in chain[:-1]:
            record.extended.add(job=await self._store.call(Store.get_job, one), request=await self._request(one))
        return record

    async def history(self, job: control_pb2.Job, device_id: str) -> control_pb2.SessionHistory:
        """Return what a device's sessions left behind before a job was submitted, without those that it extends.

        The sessions of the devices whose place it took are among them, marked.
        """
        before_ns = job.created_at.ToNanoseconds()
        sessions = await self._store.call(
            Store.past_sessions,
            device_id,
            before_ns=before_ns,
            excluded_job_ids=await self._chain(job.job_id),
        )
        replaced = await self._store.call(lambda store: store.fleet.rules.predecessors(device_id, before_ns))
        return control_pb2.SessionHistory(sessions=sessions, replacements=replaced)

    async def _request(self, job_id: str) -> control_pb2.SubmitMeasurementRequest:
        return control_pb2.SubmitMeasurementRequest.FromString(await self._store.call(Store.get_request, job_id))

    async def _artifacts(self, plan: plan_pb2.Plan) -> list[control_pb2.Artifact]:
        """Return the artifacts of a plan, each once, and below them what they were made from, as far as it is known."""
        found: dict[str, control_pb2.Artifact] = {}
        for planned in plan.artifacts:
            found[planned.artifact_digest] = await self._store.call(Store.find_artifact, planned.artifact_digest)
        for one in list(found.values()):
            parent = one.lineage.parent_digest
            while parent and parent not in found:
                try:
                    found[parent] = await self._store.call(Store.find_artifact, parent)
                except NotFoundError:
                    break
                parent = found[parent].lineage.parent_digest
        return list(found.values())


def _day(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, tz=timezone.utc):%Y-%m-%d}"


def _identity(key: result_pb2.ResultKey) -> tuple[str, int, int, int]:
    return (key.job_id, key.attempt, key.pass_kind, key.round_index)
