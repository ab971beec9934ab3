"""The Python API: a client of the `Control` service. The command line is a thin layer over it.

Messages that come back are those of ``steelyard_protocol.v1`` (control.proto, measurement.proto), fully typed.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc

from steelyard.control.blob_client import BlobClient
from steelyard.control.errors_on_wire import called
from steelyard.control.job_handle import JobHandle
from steelyard.control.measurement_request import StepMeasuring, measurement_request
from steelyard.control.paged import paged
from steelyard.control.plans import MeasurementOptions
from steelyard.priorities import DEFAULT_PRIORITY, parse_priority
from steelyard_protocol.v1 import (
    control_pb2,
    control_pb2_grpc,
    result_pb2,
    upkeep_pb2,
    upkeep_pb2_grpc,
)

if TYPE_CHECKING:
    from steelyard.compress.parts.result import CompressedParts
    from steelyard.compress.recipe import Recipe
    from steelyard.control.experiment_client import ExperimentClient
    from steelyard.control.fleet_client import FleetClient
    from steelyard.control.identity_client import IdentityClient
    from steelyard.control.nightly_client import NightlyClient

_CALL_TIMEOUT_S = 60.0
_COLLECT_TIMEOUT_S = 3600.0
_ROUNDS_A_PAGE = 500


class Client:
    """A connection to one controller. Use as a context manager; not to be shared between threads.

    Every method raises ``steelyard.SteelyardError`` (its ``reason`` is for machines, its text for people).
    """

    def __init__(self, channel: grpc.Channel, *, on_close: Callable[[], None] | None = None) -> None:
        self._channel = channel
        self._control = control_pb2_grpc.ControlServiceStub(channel)
        self._blobs = BlobClient(channel)
        self._on_close = on_close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a controller that this client started ends, with its local agent."""
        self._channel.close()
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()

    @cached_property
    def identity(self) -> IdentityClient:
        """Who belongs to the controller: devices, people, its authority."""
        from steelyard.control.identity_client import IdentityClient

        return IdentityClient(self._channel)

    @cached_property
    def fleet(self) -> FleetClient:
        """The rules of its devices: tags, quarantines, power switches, what happened to each."""
        from steelyard.control.fleet_client import FleetClient

        return FleetClient(self._channel)

    @cached_property
    def nightly(self) -> NightlyClient:
        """The nights of suites: what they measured, their series, alerts and silences."""
        from steelyard.control.nightly_client import NightlyClient

        return NightlyClient(self._channel, self._blobs)

    @cached_property
    def experiments(self) -> ExperimentClient:
        """Recipes x seeds x devices under one name."""
        from steelyard.control.experiment_client import ExperimentClient

        return ExperimentClient(self._channel)

    def collect_garbage(
        self, *, keep_samples_s: float = 0.0, grace_s: float = 0.0, dry_run: bool = False
    ) -> upkeep_pb2.CollectGarbageResponse:
        """Remove samples past ``keep_samples_s`` (0: none) and blobs that nothing names, unless they are young.

        ``grace_s`` 0: a week. Over a network it needs the role "administer".
        """
        request = upkeep_pb2.CollectGarbageRequest(
            dry_run=dry_run, keep_samples_ms=int(keep_samples_s * 1000), grace_ms=int(grace_s * 1000)
        )
        # Marking reads the whole database, sweeping the whole blob folder.
        stub = upkeep_pb2_grpc.UpkeepServiceStub(self._channel)
        return called(lambda: stub.CollectGarbage(request, timeout=_COLLECT_TIMEOUT_S))

    # -- the controller and its devices -------------------------------------------------------------------------

    def controller(self) -> control_pb2.GetControllerResponse:
        """Return who the controller is and where it listens."""
        return called(lambda: self._control.GetController(control_pb2.GetControllerRequest(), timeout=_CALL_TIMEOUT_S))

    def devices(self) -> list[control_pb2.Device]:
        """Return every device that this controller has seen."""

        def page(token: str) -> tuple[Sequence[control_pb2.Device], str]:
            request = control_pb2.ListDevicesRequest(page_token=token)
            response = self._control.ListDevices(request, timeout=_CALL_TIMEOUT_S)
            return response.devices, response.next_page_token

        return list(paged(page))

    def device(self, name: str) -> control_pb2.Device:
        """Return one device by name, id, or the first characters of its id."""
        request = control_pb2.GetDeviceRequest(device=name)
        return called(lambda: self._control.GetDevice(request, timeout=_CALL_TIMEOUT_S)).device

    # -- models and tasks ---------------------------------------------------------------------------------------

    def add_model(self, path: Path | str, *, name: str = "", confidential: bool = False) -> control_pb2.Artifact:
        """Check a model file, upload it, register it; the same bytes give the same artifact.

        Devices keep a confidential one, and what is made of it, no longer than the job that needs it.
        """
        from steelyard.control.uploads import prepared_model

        with prepared_model(Path(path)) as prepared:
            self._blobs.upload(prepared.bytes_path, prepared.digest, prepared.size_bytes)
        request = control_pb2.CreateArtifactRequest(request_id=uuid.uuid4().hex, digest=prepared.digest)
        request.name, request.confidential = name or Path(path).stem, confidential
        return called(lambda: self._control.CreateArtifact(request, timeout=_CALL_TIMEOUT_S)).artifact

    def artifact(self, text: str) -> control_pb2.Artifact:
        """Return an artifact by digest, the first characters of one, or name."""
        request = control_pb2.GetArtifactRequest(artifact=text)
        return called(lambda: self._control.GetArtifact(request, timeout=_CALL_TIMEOUT_S)).artifact

    def artifacts(self) -> list[control_pb2.Artifact]:
        """Return every artifact, newest first."""

        def page(token: str) -> tuple[Sequence[control_pb2.Artifact], str]:
            request = control_pb2.ListArtifactsRequest(page_token=token)
            response = self._control.ListArtifacts(request, timeout=_CALL_TIMEOUT_S)
            return response.artifacts, response.next_page_token

        return list(paged(page))

    def add_task(self, path: Path | str, artifact: control_pb2.Artifact) -> control_pb2.Task:
        """Materialise a task for the inputs of ``artifact`` and register it; labels stay with the controller."""
        from steelyard.control.uploads import prepared_task

        task, blobs = prepared_task(Path(path), artifact)
        for data in blobs:
            self.upload_bytes(data)
        request = control_pb2.CreateTaskRequest(request_id=uuid.uuid4().hex, task=task)
        return called(lambda: self._control.CreateTask(request, timeout=_CALL_TIMEOUT_S)).task

    def task(self, task_id: str) -> control_pb2.Task:
        """Return a task by its id."""
        request = control_pb2.GetTaskRequest(task_id=task_id)
        return called(lambda: self._control.GetTask(request, timeout=_CALL_TIMEOUT_S)).task

    # -- jobs ---------------------------------------------------------------------------------------------------

    def compress(
        self,
        artifact: control_pb2.Artifact,
        recipe: str | Recipe,
        *,
        task: control_pb2.Task | None = None,
        seed: int = 0,
        device: str = "",
        evaluate: bool = True,
        use_cache: bool = True,
        measuring: StepMeasuring | None = None,
    ) -> JobHandle:
        """Make a variant of ``artifact`` by ``recipe``: a built-in name, steps in one word, a TOML file, or a Recipe.

        ``device`` names the device that the variant is for: settings left at "auto" are chosen for its processor.
        ``evaluate``: score each step's model by the task, on the controller. Without ``use_cache`` every step is run,
        also those whose output is known. ``measuring`` says where and how latencies are measured on the way. Plugin
        files in use here (``steelyard.plugins.files.use_file``) are read by the controller, too, on its machine.
        """
        from steelyard.compress.recipe_text import load_recipe
        from steelyard.plugins.files import paths_in_use

        request = control_pb2.SubmitCompressionRequest(
            request_id=uuid.uuid4().hex,
            artifact_digest=artifact.digest,
            recipe_toml=(load_recipe(recipe) if isinstance(recipe, str) else recipe).to_toml(),
            evaluate_steps=evaluate and task is not None,
            without_cache=not use_cache,
            device=device,
            task_id=task.task_id if task is not None else "",
            seed=seed,
            plugin_paths=paths_in_use(),
        )
        if measuring is not None:
            measuring.add_to(request, artifact)
        response = called(lambda: self._control.SubmitCompression(request, timeout=_CALL_TIMEOUT_S))
        return JobHandle(self, response.job_id)

    def compress_parts(
        self,
        parts: Path | str,
        recipes: Sequence[str],
        *,
        task: Path | str,
        tasks_dir: Path | str | None = None,
        seed: int = 0,
        device: str = "",
    ) -> CompressedParts:
        """Compress a model in parts (docs/parts.md), each by its recipe, and score the whole with the variants.

        ``recipes`` are "PART=RECIPE" each, or one "RECIPE" for every part that has none of its own; ``task`` is of the
        whole, with a calibration split. The parts run in this process; the recipes run on the controller. The tasks of
        the parts, by which each can be measured, are kept in ``tasks_dir`` as "PART.toml".
        """
        from steelyard.compress.parts.part_tasks import CallLimits
        from steelyard.control.compress_parts import compress_parts

        return compress_parts(
            self,
            Path(parts),
            recipes,
            task_path=Path(task),
            device=device,
            tasks_dir=None if tasks_dir is None else Path(tasks_dir),
            limits=CallLimits(seed=seed),
        )

    def sensitivity(
        self,
        artifact: control_pb2.Artifact,
        *,
        task: control_pb2.Task,
        recipe: str | Recipe = "static-int8",
        sample_count: int = 64,
        scored: int = 5,
        seed: int = 0,
        device: str = "",
        use_cache: bool = True,
    ) -> JobHandle:
        """Find what each operator costs that ``recipe`` quantizes; ``JobHandle.sensitivity`` returns the report.

        ``sample_count`` calibration samples are run for each operator; the metric of the ``scored`` most sensitive ones
        is evaluated. The rest as in ``compress``.
        """
        from steelyard.compress.recipe import Recipe as AnyRecipe
        from steelyard.compress.recipe_text import load_recipe
        from steelyard.compress.steps.sensitivity import MeasureSensitivity

        steps = (load_recipe(recipe) if isinstance(recipe, str) else recipe).step_list
        measured = AnyRecipe([*steps, MeasureSensitivity(sample_count=sample_count, scored=scored)])
        return self.compress(
            artifact, measured, task=task, seed=seed, device=device, evaluate=False, use_cache=use_cache
        )

    def measure(
        self,
        artifacts: Sequence[control_pb2.Artifact],
        *,
        device: str = "local",
        task: control_pb2.Task | None = None,
        options: MeasurementOptions | None = None,
    ) -> JobHandle:
        """Measure ``artifacts`` on ``device`` in interleaved rounds; the first one is the reference."""
        options = options if options is not None else MeasurementOptions()
        request = measurement_request(artifacts, device=device, task=task, options=options)
        response = called(lambda: self._control.SubmitMeasurement(request, timeout=_CALL_TIMEOUT_S))
        return JobHandle(self, response.job_id, estimated_ms=response.estimated_ms)

    def extend(
        self,
        job_id: str,
        *,
        max_round_count: int = 0,
        budget_s: float = 0.0,
        device_wait_s: float = 30.0,
        priority: str = DEFAULT_PRIORITY,
        device: str = "",
        title: str = "",
    ) -> JobHandle:
        """Add rounds to a finished measurement, on its device and by its plan; the job that comes back holds them all.

        ``max_round_count`` counts the rounds that there are, too; 0: 40 more. ``device`` only says which device is
        meant: another one is refused.
        """
        request = control_pb2.SubmitMeasurementRequest(
            request_id=uuid.uuid4().hex,
            extended_job_id=job_id,
            device=device,
            max_round_count=max_round_count,
            budget_ms=int(budget_s * 1000),
            device_wait_ms=int(device_wait_s * 1000),
            priority=parse_priority(priority),
            title=title,
        )
        response = called(lambda: self._control.SubmitMeasurement(request, timeout=_CALL_TIMEOUT_S))
        return JobHandle(self, response.job_id, estimated_ms=response.estimated_ms)

    def job(self, job_id: str) -> control_pb2.Job:
        """Return a job by its id or the first characters of it."""
        request = control_pb2.GetJobRequest(job_id=job_id)
        return called(lambda: self._control.GetJob(request, timeout=_CALL_TIMEOUT_S)).job

    def jobs(self) -> list[control_pb2.Job]:
        """Return every job, newest first."""

        def page(token: str) -> tuple[Sequence[control_pb2.Job], str]:
            response = self._control.ListJobs(control_pb2.ListJobsRequest(page_token=token), timeout=_CALL_TIMEOUT_S)
            return response.jobs, response.next_page_token

        return list(paged(page))

    def newest_jobs(self, count: int) -> list[control_pb2.Job]:
        """Return the newest jobs, 1,000 at most."""
        request = control_pb2.ListJobsRequest(page_size=count)
        return list(called(lambda: self._control.ListJobs(request, timeout=_CALL_TIMEOUT_S)).jobs)

    def cancel(self, job_id: str) -> control_pb2.Job:
        """Cancel a job; the rounds or steps that it finished are kept."""
        request = control_pb2.CancelJobRequest(job_id=job_id)
        return called(lambda: self._control.CancelJob(request, timeout=_CALL_TIMEOUT_S)).job

    def events(self, job_id: str, *, after: int = 0, wait_s: float = 0.0) -> control_pb2.ListEventsResponse:
        """Return the stored log of a job after a cursor, waiting for the next event when there is nothing new."""
        request = control_pb2.ListEventsRequest(job_id=job_id, after_cursor=after, wait_ms=int(wait_s * 1000))
        return called(lambda: self._control.ListEvents(request, timeout=_CALL_TIMEOUT_S + wait_s))

    def measurement(self, job_id: str) -> control_pb2.GetMeasurementResponse:
        """Return all that a measurement says, computed anew from its recorded rounds."""
        request = control_pb2.GetMeasurementRequest(job_id=job_id)
        return called(lambda: self._control.GetMeasurement(request, timeout=_CALL_TIMEOUT_S))

    def measurement_record(self, job_id: str) -> control_pb2.MeasurementRecord:
        """Return all that a measurement's figures follow from; ``download`` returns the blobs that it names."""
        request = control_pb2.GetMeasurementRecordRequest(job_id=job_id)
        return called(lambda: self._control.GetMeasurementRecord(request, timeout=_CALL_TIMEOUT_S)).record

    def rounds(self, job_id: str) -> Iterator[result_pb2.RoundResult]:
        """Yield every recorded round of a job with its raw samples.

        Samples of a block with the circumstance "emulated_by" are no latencies (docs/emulation.md).
        """

        def page(token: str) -> tuple[Sequence[control_pb2.RoundReference], str]:
            answer = self._recorded(job_id, token)
            return answer.rounds, answer.next_page_token

        for reference in paged(page):
            yield result_pb2.RoundResult.FromString(self.download(reference.result_digest))

    def traces(self, job_id: str) -> Iterator[control_pb2.MeterTrace]:
        """Yield what each external meter said beside a job's energy pass."""
        for reference in self._recorded(job_id).traces:
            yield control_pb2.MeterTrace.FromString(self.download(reference.trace_digest))

    # -- blobs --------------------------------------------------------------------------------------------------

    def download(self, digest: str) -> bytes:
        """Return a blob's bytes, verified."""
        return self._blobs.download(digest)

    def upload_bytes(self, data: bytes) -> str:
        """Store bytes with the controller and return their digest."""
        digest = hashlib.sha256(data).hexdigest()
        self._blobs.upload(data, digest, len(data))
        return digest

    # -- small things -------------------------------------------------------------------------------------------

    def _recorded(self, job_id: str, page_token: str = "") -> control_pb2.ListRoundsResponse:
        request = control_pb2.ListRoundsRequest(job_id=job_id, page_size=_ROUNDS_A_PAGE, page_token=page_token)
        return called(lambda: self._control.ListRounds(request, timeout=_CALL_TIMEOUT_S))
