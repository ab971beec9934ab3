"""Models, tasks and requests of the control tests."""

from __future__ import annotations

import asyncio
import io
import tempfile
from pathlib import Path

import numpy as np

from steelyard.control.controller import Controller
from steelyard.control.gate_plan import GateOptions
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.controller.analysis.planted_rounds import block
from tests.support.models import linear_model

SAMPLE_COUNT = 40
WAIT_S = 60.0


async def add_model(controller: Controller, name: str = "linear", seed: int = 0) -> control_pb2.Artifact:
    with tempfile.TemporaryDirectory() as folder:
        digest = controller.blobs.put_file(linear_model(Path(folder) / "m.onnx", seed=seed))
    return await controller.models.create_artifact(digest, name)


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def labels() -> np.ndarray:
    return np.arange(SAMPLE_COUNT, dtype=np.int64) % 3


async def add_task(controller: Controller, *, calibration: bool = False) -> control_pb2.Task:
    inputs = np.zeros((SAMPLE_COUNT, 4), dtype=np.float32)
    task = control_pb2.Task(
        name="digits",
        metric="top1",
        evaluation_digest=controller.blobs.put_bytes(npz(x=inputs)),
        evaluation_sample_count=SAMPLE_COUNT,
        labels_digest=controller.blobs.put_bytes(npz(labels=labels())),
    )
    if calibration:
        task.calibration_digest = controller.blobs.put_bytes(npz(x=inputs[:5] + 1))
        task.calibration_sample_count = 5
    return await controller.models.create_task(task)


def request_for(
    artifacts: list[control_pb2.Artifact],
    *,
    device: str = "pi5",
    task: control_pb2.Task | None = None,
    gate: GateOptions = GateOptions(wanted=False),  # noqa: B008  (frozen)
    **fields,
) -> control_pb2.SubmitMeasurementRequest:
    settings = {"min_round_count": 3, "max_round_count": 3, "device_wait_ms": 20_000, **fields}
    # No gate: where a round may wait, the first one is granted alone.
    names = tuple(f"{artifact.name}-{index}" for index, artifact in enumerate(artifacts))
    return control_pb2.SubmitMeasurementRequest(
        device=device,
        plan=build_plan(artifacts, MeasurementOptions(labels=names, numeric_check=False, gate=gate)),
        task_id=task.task_id if task is not None else "",
        **settings,
    )


def round_for(
    offer_job_id: str,
    plan,
    index: int,
    *,
    pass_kind: result_pb2.Pass.ValueType = result_pb2.PASS_LATENCY,
    segment: int = 0,
    outputs: bytes | None = None,
) -> result_pb2.RoundResult:
    """A good round of a plan, as its device would send it."""
    rng = np.random.default_rng(index)
    result = result_pb2.RoundResult(
        job_id=offer_job_id, attempt=1, pass_kind=pass_kind, round_index=index, segment=segment
    )
    for planned in plan.artifacts:
        made = block(planned.label, 1e6, rng)
        made.artifact_digest = planned.artifact_digest
        if pass_kind != result_pb2.PASS_LATENCY:
            made.ClearField("latency_ns")
        if outputs is not None:
            import hashlib

            made.outputs_digest = hashlib.sha256(outputs).hexdigest()
        result.blocks.append(made)
    result.started_at.FromNanoseconds(1_790_000_000_000_000_000 + index * 1_000_000_000)
    result.finished_at.FromNanoseconds(1_790_000_000_500_000_000 + index * 1_000_000_000)
    return result


async def submit(controller: Controller, count: int = 1, **fields) -> str:
    models = [await add_model(controller, f"net{index}", seed=index) for index in range(count)]
    return (await controller.jobs.submit_measurement(request_for(models, **fields))).job_id


async def ended(controller: Controller, job_id: str) -> control_pb2.Job:
    """Wait until a job's task is done and return the job."""

    async def watch() -> None:
        while controller.jobs.runs(job_id):
            await asyncio.sleep(0.005)

    await asyncio.wait_for(watch(), WAIT_S)
    return await controller.store.call(Store.get_job, job_id)


async def messages(controller: Controller, job_id: str) -> list[str]:
    return [event.message for event in await controller.store.call(Store.list_events, job_id)]
