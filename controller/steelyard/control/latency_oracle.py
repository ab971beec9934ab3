"""What models of a compression take on a device: ordinary measurements, looked up where they were made before."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from steelyard.compress.contract import Progress
from steelyard.compress.errors import CompressionInputError
from steelyard.control.job_end import JobEnd
from steelyard.control.job_world import JobWorld
from steelyard.control.pools import parse_pool
from steelyard.errors import SteelyardError, UsageError
from steelyard.fleet.local_agent import LOCAL_NAME
from steelyard.job_states import FINAL_STATES
from steelyard.store.names import CANDIDATE_OF, MAX_NAME_LENGTH
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, measurement_pb2

_REFERENCE, _CANDIDATE = "model", "candidate"
_LOOK_EVERY_S = 0.2


class Measurements(Protocol):
    """The part of a controller's jobs that measures for another job."""

    async def submit_part(self, job_id: str, request: control_pb2.SubmitMeasurementRequest) -> control_pb2.Job:
        """Take a measurement in that ends with the job ``job_id``."""
        ...

    def as_known(self, job: control_pb2.Job) -> control_pb2.Job:
        """Return a stored job with its end."""
        ...


def check_measured(request: control_pb2.SubmitCompressionRequest, *, needs_latency: bool) -> None:
    """Refuse a compression that measures without saying how, or on whichever device of a pool is free.

    Raises:
        UsageError: no_device, latency_on_a_pool or bad_plan.
    """
    if not (needs_latency or request.measure_steps):
        return
    measurement = request.measurement
    if not measurement.device:
        raise UsageError(
            "no_device", "the recipe measures on a device, and none was named; name one with --device NAME"
        )
    if parse_pool(measurement.device) is not None:
        raise UsageError(
            "latency_on_a_pool",
            f"latencies of several models are compared, and {measurement.device} may be another device each time; name "
            "one device",
        )
    if len(measurement.plan.artifacts) != 1:
        raise UsageError(
            "bad_plan",
            f"the plan to measure by names {len(measurement.plan.artifacts)} models; name the one that is compressed",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringJob:
    """The compression that measures: its id, what it asked for, and the model that it begins with."""

    job_id: str
    request: control_pb2.SubmitCompressionRequest
    parent: control_pb2.Artifact


class DeviceLatency:
    """Measures the models of one compression on its device. Used from one event loop."""

    def __init__(
        self,
        world: JobWorld,
        jobs: Measurements,
        job: MeasuringJob,
        *,
        tell: Progress,
        heard: Callable[[], None],
    ) -> None:
        """Prepare; ``tell`` is told what the device does, ``heard`` is called while it is waited for."""
        self._world = world
        self._jobs = jobs
        self._job = job
        self._template = job.request.measurement
        self._tell = tell
        self._heard = heard
        self._key = ""

    async def key(self) -> str:
        """Return what measures, for keys: the device, its runtimes, and the plan.

        Raises:
            JobEnd, SteelyardError: the local agent does not come up, or nobody knows the device.
        """
        if not self._key:
            name = self._template.device
            if name == LOCAL_NAME:
                await self._world.devices.wait_online(LOCAL_NAME, 0.0)
            device = await self._world.devices.description(name)
            plan = control_pb2.SubmitMeasurementRequest()
            plan.CopyFrom(self._template)
            for field in ("request_id", "device", "title", "device_wait_ms", "priority"):
                plan.ClearField(field)
            for planned in plan.plan.artifacts:
                planned.ClearField("artifact_digest")
                planned.ClearField("size_bytes")
            runtimes = sorted((one.name, one.environment, one.version) for one in device.runtimes)
            self._key = _digest([device.device_id, runtimes, plan.SerializeToString(deterministic=True).hex()])
        return self._key

    async def measure(self, candidate: Path, reference: Path, what: str) -> control_pb2.StepLatency:
        """Measure the model of a file beside another one, as ``LatencyOracle`` says.

        Raises:
            JobEnd, SteelyardError: it could not be measured.
        """
        first, second = [await asyncio.to_thread(self._world.blobs.put_file, path) for path in (reference, candidate)]
        for digest, which in ((first, "the input of a step"), (second, what)):
            await self._register(digest, f"{CANDIDATE_OF}{self._job.parent.name}: {which}")
        return await self._beside(second, first, what)

    async def of_step(self, digest: str, what: str, *, name: str) -> control_pb2.StepLatency:
        """Measure what a step made beside the recipe's first model; what cannot be measured has a reason.

        ``name`` is for a model that is not registered yet.
        """
        try:
            await self._register(digest, name)
            return await self._beside(digest, self._job.parent.digest, what)
        except (JobEnd, SteelyardError) as error:
            return control_pb2.StepLatency(device=self._template.device, reason=str(error))

    async def _register(self, digest: str, name: str) -> None:
        parent = self._job.parent
        if digest != parent.digest:
            models = self._world.models
            await models.create_artifact(digest, name[:MAX_NAME_LENGTH], confidential=parent.confidential)

    async def _beside(self, digest: str, reference: str, what: str) -> control_pb2.StepLatency:
        if digest == reference:
            return control_pb2.StepLatency(
                device=self._template.device, reason="it is the file that it would be measured beside"
            )
        request = await self._request(digest, reference, what)
        job = await self._submitted(request, [digest, reference])
        job = await self._ended(job.job_id, what)
        if job.state != control_pb2.JOB_STATE_RECORDED:
            raise JobEnd(job.state, job.error.reason or "not_measured", f"measuring {what}: {job.error.message}")
        measurement = await self._world.results.measurement(job)
        return _latency_of(measurement, job.job_id, what)

    async def _request(self, digest: str, reference: str, what: str) -> control_pb2.SubmitMeasurementRequest:
        made = control_pb2.SubmitMeasurementRequest()
        made.CopyFrom(self._template)
        made.title = f"{what} of {self._job.parent.name}"[:MAX_NAME_LENGTH]
        planned = made.plan.artifacts[0]
        del made.plan.artifacts[:]
        for label, one in ((_REFERENCE, reference), (_CANDIDATE, digest)):
            made.plan.artifacts.append(planned)
            made.plan.artifacts[-1].label, made.plan.artifacts[-1].artifact_digest = label, one
        return made

    async def _submitted(self, request: control_pb2.SubmitMeasurementRequest, models: list[str]) -> control_pb2.Job:
        """Return the measurement of these models: one that was made before, or a new one.

        Without the cache only what this job measured itself counts.
        """
        own = self._job.job_id if self._job.request.without_cache else ""
        key = _digest([await self.key(), models, own])
        number = 0
        while True:
            request.request_id = f"latency-{key[:40]}-{number}"
            job = await self._jobs.submit_part(self._job.job_id, request)
            if job.state not in FINAL_STATES or job.state == control_pb2.JOB_STATE_RECORDED:
                return job
            number += 1

    async def _ended(self, job_id: str, what: str) -> control_pb2.Job:
        cursor = 0
        while True:
            # The state is read before the events: a final state then has all its events in what follows.
            job = self._jobs.as_known(await self._world.store.call(Store.get_job, job_id))
            for event in await self._world.store.call(Store.list_events, job_id, cursor):
                cursor = event.cursor
                self._tell(f"measuring {what}: {event.message}", event.done, event.total)
            if job.state in FINAL_STATES:
                return job
            self._heard()
            await asyncio.sleep(_LOOK_EVERY_S)


def _latency_of(measurement: measurement_pb2.Measurement, job_id: str, what: str) -> control_pb2.StepLatency:
    variants = {one.label: one for one in measurement.variants}
    for label, name in ((_REFERENCE, "the model"), (_CANDIDATE, what)):
        if variants[label].HasField("failure"):
            raise CompressionInputError(
                "not_measured",
                f"{name} does not run on {measurement.device_name}: {variants[label].failure.message}",
            )
    candidate = variants[_CANDIDATE]
    return control_pb2.StepLatency(
        device=measurement.device_name,
        job_id=job_id,
        p50=candidate.p50_latency,
        parent_p50=variants[_REFERENCE].p50_latency,
        speedup=candidate.speedup,
    )


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
