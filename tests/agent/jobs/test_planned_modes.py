"""What a plan says about modes, batch, cores and processing reaches the worker; what that measured reaches the wire."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from steelyard.tasks.preprocess import Preprocess
from steelyard_agent.block_runner import run_block
from steelyard_agent.jobs.block_messages import block_result
from steelyard_agent.jobs.plan_check import check_plan
from steelyard_agent.jobs.planned_blocks import BlobPaths, block_for
from steelyard_agent.jobs.planned_modes import planned_silence_ms
from steelyard_agent.jobs.rounds import RoundRunner
from steelyard_agent.jobs.validity import ValidityTools
from steelyard_agent.worker import modes
from steelyard_agent.worker.block import Block, CurvePoint, WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.processing_spec import Processing
from steelyard_protocol.v1 import plan_pb2, result_pb2
from tests.agent.jobs.fakes import FakeWorkers, plan_of, round_tools
from tests.support import models

A = b"model A"


def _block(plan: plan_pb2.Plan, pass_kind: int = result_pb2.PASS_LATENCY) -> Block:
    artifact = plan.artifacts[0]
    paths = BlobPaths(by_digest={artifact.artifact_digest: Path("/a"), plan.evaluation.data_digest: Path("/d")})
    return block_for(plan, artifact, pass_kind, paths=paths, output_path=Path("/out.npz"))


@pytest.mark.parametrize(
    ("spec", "mode"),
    [
        (plan_pb2.ModeSpec(), Mode()),
        (plan_pb2.ModeSpec(mode=plan_pb2.MODE_SINGLE_STREAM), Mode()),
        (plan_pb2.ModeSpec(mode=plan_pb2.MODE_OFFLINE), Mode(name=modes.OFFLINE)),
        (
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_PACED, rate_hz=20, random_arrivals=True),
            Mode(name=modes.PACED, rate_hz=20.0, random_arrivals=True),
        ),
        (
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_MULTI_STREAM, stream_count=4),
            Mode(name=modes.MULTI_STREAM, stream_count=4),
        ),
        (
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_SUSTAINED, duration_ms=60_000, point_ms=2_000),
            Mode(name=modes.SUSTAINED, duration_ms=60_000, point_ms=2_000),
        ),
        (
            plan_pb2.ModeSpec(mode=plan_pb2.MODE_STEPWISE, step_counts=[1, 16], state_outputs={"h": "hn"}),
            Mode(name=modes.STEPWISE, step_counts=(1, 16), state_outputs={"h": "hn"}),
        ),
    ],
)
def test_every_mode_reaches_the_worker(spec: plan_pb2.ModeSpec, mode: Mode) -> None:
    plan = plan_of(A)
    plan.mode.CopyFrom(spec)
    assert _block(plan).mode == mode


def test_the_batch_is_the_artifacts_and_the_evaluations_its_own() -> None:
    plan = plan_of(A, evaluation=b"data")
    plan.artifacts[0].batch_size = 5
    assert _block(plan).batch_size == 5
    assert _block(plan, result_pb2.PASS_ENERGY).batch_size == 5
    assert _block(plan, result_pb2.PASS_EVALUATION).batch_size == 8


def test_what_a_task_of_the_controller_declares_is_understood() -> None:
    plan = plan_of(A, evaluation=b"data")
    declared = Preprocess(divide=255.0, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), layout="NCHW")
    plan.processing.preprocessing_json = json.dumps(asdict(declared))
    plan.processing.stored_dtype = "uint8"
    plan.processing.stored_shape.sizes.extend([32, 24, 3])
    plan.processing.reducer = plan_pb2.REDUCER_TOP_K
    plan.evaluation.top_count = 3
    block = _block(plan)
    assert block.processing == Processing(
        stored_dtype="uint8",
        stored_shape=(32, 24, 3),
        divide=255.0,
        mean=(0.1, 0.2, 0.3),
        std=(0.5, 0.6, 0.7),
        layout="NCHW",
        reduces=True,
    )
    assert (block.reducer, block.top_count) == ("top_k", 3)


def test_a_reducer_alone_is_timed_without_preprocessing() -> None:
    plan = plan_of(A)
    plan.processing.reducer = plan_pb2.REDUCER_SCORE_THRESHOLD
    block = _block(plan)
    assert (block.processing, block.reducer) == (Processing(reduces=True), "score_threshold")
    assert block.score_threshold == 0.5


def test_what_a_mode_measured_reaches_the_wire() -> None:
    result = WorkerResult(
        runtime_version="1",
        latency_ns=(5, 6),
        response_ns=(7, 8),
        missed_count=3,
        window_ns=100,
        batch_size=4,
        curve=(
            CurvePoint(
                offset_ms=1, inference_count=2, p50_ns=3, p90_ns=4, temperature_c=50.5, frequency_hz=1_800_000_000
            ),
            CurvePoint(offset_ms=9, inference_count=2, p50_ns=3),
        ),
        sequences=((1, 2, 3), (4, 5, 6)),
        preprocessing_ns=(10, 11),
        postprocessing_ns=(12,),
        cpu_ns=90,
    )
    message = block_result(
        plan_of(A).artifacts[0],
        status=BlockStatus.OK,
        reason="",
        message="",
        started_at_unix_ns=0,
        wall_ns=1,
        result=result,
    )
    assert (list(message.response_ns), message.missed_count) == ([7, 8], 3)
    assert (message.window_ns, message.cpu_ns, message.batch_size) == (100, 90, 4)
    first, second = message.curve
    assert (first.p90_ns, first.temperature_c, first.frequency_hz) == (4, 50.5, 1_800_000_000)
    assert not any(second.HasField(name) for name in ("p90_ns", "temperature_c", "frequency_hz"))
    assert [list(one.step_ns) for one in message.sequences] == [[1, 2, 3], [4, 5, 6]]
    assert (list(message.preprocessing_ns), list(message.postprocessing_ns)) == ([10, 11], [12])


def test_what_was_not_measured_is_unset_and_no_zero() -> None:
    message = block_result(
        plan_of(A).artifacts[0],
        status=BlockStatus.OK,
        reason="",
        message="",
        started_at_unix_ns=0,
        wall_ns=1,
        result=WorkerResult(runtime_version="1"),
    )
    assert not message.HasField("window_ns")
    assert not message.HasField("cpu_ns")


def test_a_block_is_not_ended_for_the_silence_of_its_mode(tmp_path: Path) -> None:
    plan = plan_of(A)
    assert planned_silence_ms(plan) == 0
    plan.timing.sample_window_ms = 90_000
    assert planned_silence_ms(plan) == 90_000
    plan.mode.CopyFrom(plan_pb2.ModeSpec(mode=plan_pb2.MODE_SUSTAINED, duration_ms=600_000, point_ms=7_000))
    assert planned_silence_ms(plan) == 7_000


async def test_each_artifact_may_have_cores_and_a_time_out_of_its_own(tmp_path: Path) -> None:
    plan = plan_of(A, b"model B")
    plan.core_ids.extend([0, 1])
    plan.artifacts[1].core_ids.append(1)
    plan.mode.CopyFrom(plan_pb2.ModeSpec(mode=plan_pb2.MODE_PACED, rate_hz=0.5))
    workers = FakeWorkers()
    paths = BlobPaths(by_digest={one.artifact_digest: tmp_path for one in plan.artifacts})
    runner = RoundRunner(plan=plan, paths=paths, tools=round_tools(workers, tmp_path / "work"))

    async def nothing(_done: int, _label: str) -> None:
        return

    await runner.run(result_pb2.PASS_LATENCY, 0, before_block=nothing)
    assert [block.core_ids for block in workers.blocks] == [(0, 1), (1,)]
    # Ten arrivals, one every two seconds, without a sign of life.
    assert workers.timeouts_s == [80.0, 80.0]


REAL = {
    plan_pb2.MODE_OFFLINE: plan_pb2.ModeSpec(mode=plan_pb2.MODE_OFFLINE),
    plan_pb2.MODE_PACED: plan_pb2.ModeSpec(mode=plan_pb2.MODE_PACED, rate_hz=200),
    plan_pb2.MODE_MULTI_STREAM: plan_pb2.ModeSpec(mode=plan_pb2.MODE_MULTI_STREAM, stream_count=2),
    plan_pb2.MODE_SUSTAINED: plan_pb2.ModeSpec(mode=plan_pb2.MODE_SUSTAINED, duration_ms=400, point_ms=100),
    plan_pb2.MODE_STEPWISE: plan_pb2.ModeSpec(
        mode=plan_pb2.MODE_STEPWISE, step_counts=[1, 4], state_outputs={"h": "hn"}
    ),
}


@pytest.mark.parametrize("mode", REAL, ids=plan_pb2.Mode.Name)
async def test_a_plan_is_run_in_its_mode_by_a_real_worker(tmp_path: Path, mode: plan_pb2.Mode.ValueType) -> None:
    model = models.accumulator_model(tmp_path / "m.onnx")
    plan = plan_of(model.read_bytes())
    plan.mode.CopyFrom(REAL[mode])
    plan.timing.MergeFrom(plan_pb2.TimingSpec(sample_window_ms=20, warmup_window_ms=2, warmup_cap_ms=10))
    plan.artifacts[0].batch_size = 3
    plan.artifacts[0].runtime.intra_op_thread_count = 1
    plan.processing.reducer = plan_pb2.REDUCER_ARGMAX
    check_plan(plan)
    # Others may well have the processor while tests run.
    validity = ValidityTools(judges=False)
    tools = replace(round_tools(FakeWorkers(), tmp_path / "work"), run_block=run_block, validity=validity)
    paths = BlobPaths(by_digest={plan.artifacts[0].artifact_digest: model})

    async def nothing(_done: int, _label: str) -> None:
        return

    finished = await RoundRunner(plan=plan, paths=paths, tools=tools).run(
        result_pb2.PASS_LATENCY, 0, before_block=nothing
    )
    (block,) = finished.blocks
    assert block.status == result_pb2.BLOCK_STATUS_OK, block.error.message
    assert block.batch_size == 3
    assert block.window_ns > 0
    assert block.cpu_ns > 0
    assert len(block.latency_ns) > 0
    assert len(block.postprocessing_ns) >= 10
    assert block.input_source.startswith("drawn by signature, seed 0")
    told = {
        plan_pb2.MODE_PACED: len(block.response_ns) == len(block.latency_ns),
        plan_pb2.MODE_SUSTAINED: sum(point.inference_count for point in block.curve) == block.sample_count,
        plan_pb2.MODE_STEPWISE: {len(one.step_ns) for one in block.sequences} == {4},
    }
    assert told.get(mode, block.sample_count == len(block.latency_ns) * block.inner_batch_count)
