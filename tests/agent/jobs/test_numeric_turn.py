"""The numeric pass on the agent: blocks of a plan, what they need, what is refused, and what a failure forbids."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.jobs.block_messages import block_result
from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.plan_check import check_grant, check_plan
from steelyard_agent.jobs.planned_blocks import BlobPaths, block_for
from steelyard_agent.jobs.retry_policy import Failure, RetryPolicy
from steelyard_agent.jobs.staging import wanted_blobs
from steelyard_agent.worker.block import KIND_NUMERIC, WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import common_pb2, plan_pb2, result_pb2, session_pb2

MODEL, DATA, LAYERS = "a" * 64, "b" * 64, "c" * 64


def numeric_plan(**numeric: object) -> plan_pb2.Plan:
    plan = plan_pb2.Plan(block_timeout_ms=1000)
    plan.artifacts.add(
        artifact_digest=MODEL,
        label="m",
        format=common_pb2.ARTIFACT_FORMAT_ONNX,
        size_bytes=10,
        runtime=plan_pb2.RuntimeSpec(name="onnxruntime", intra_op_thread_count=2),
        batch_size=4,
        layers_digest=LAYERS,
        layers_size_bytes=30,
    )
    settings = {"data_digest": DATA, "data_size_bytes": 20, "sample_count": 8, "output_quota_bytes": 100, **numeric}
    plan.numeric.CopyFrom(plan_pb2.NumericSpec(**settings))
    return plan


def test_a_block_loads_the_model_as_it_is_timed_and_writes_its_outputs() -> None:
    plan = numeric_plan()
    paths = BlobPaths(by_digest={MODEL: Path("/m"), DATA: Path("/d"), LAYERS: Path("/l")})
    block = block_for(plan, plan.artifacts[0], result_pb2.PASS_NUMERIC, paths=paths, output_path=Path("/o"))
    assert block.kind == KIND_NUMERIC
    assert (block.model_path, block.data_path, block.layers_path, block.output_path) == ("/m", "/d", "/l", "/o")
    assert (block.batch_size, block.output_quota_bytes) == (4, 100)
    timed = block_for(plan, plan.artifacts[0], result_pb2.PASS_LATENCY, paths=paths, output_path=Path("/o"))
    assert block.runtime == timed.runtime
    assert timed.layers_path == timed.output_path == ""


def test_data_and_copies_are_fetched_with_the_models() -> None:
    assert wanted_blobs(numeric_plan()) == {MODEL: 10, DATA: 20, LAYERS: 30}
    plan = numeric_plan(data_digest="", data_size_bytes=0, reason="an open dimension")
    plan.artifacts[0].layers_digest = ""
    assert wanted_blobs(plan) == {MODEL: 10}
    check_plan(plan)


@pytest.mark.parametrize(
    ("numeric", "words"),
    [
        ({"data_digest": "../x"}, "the data of the numeric check"),
        ({"data_size_bytes": 0}, "the size of the data of the numeric check"),
        ({"sample_count": 70_000}, "sample_count of the numeric check is 70000"),
        ({"output_quota_bytes": -1}, "output_quota_bytes of the numeric check is -1"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused_by_name(numeric: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidPlanError, match=words):
        check_plan(numeric_plan(**numeric))


def test_a_copy_that_is_no_blob_is_refused_by_its_label() -> None:
    plan = numeric_plan()
    plan.artifacts[0].layers_digest = "/etc/passwd"
    with pytest.raises(InvalidPlanError, match="the layers of 'm'"):
        check_plan(plan)


def test_a_round_without_data_is_refused() -> None:
    grant = session_pb2.RoundGrant(pass_kind=result_pb2.PASS_NUMERIC, round_count=1)
    check_grant(grant, numeric_plan())
    with pytest.raises(InvalidPlanError, match="names no data for it"):
        check_grant(grant, plan_pb2.Plan())


@pytest.mark.parametrize("status", [BlockStatus.USER_ERROR, BlockStatus.UNSUPPORTED, BlockStatus.OUT_OF_MEMORY])
def test_a_model_that_cannot_be_checked_may_still_be_timed(status: BlockStatus) -> None:
    policy = RetryPolicy()
    policy.record("m", Failure(status=status, reason="r", message="m", pass_kind=result_pb2.PASS_NUMERIC))
    assert policy.verdict("m", result_pb2.PASS_LATENCY) is None
    assert policy.verdict("m", result_pb2.PASS_NUMERIC) is not None


def message_of(result: WorkerResult | None, least: int | None) -> result_pb2.MemoryProfile:
    status = BlockStatus.OK if result is not None else BlockStatus.OUT_OF_MEMORY
    return block_result(
        plan_pb2.PlannedArtifact(label="m"),
        status=status,
        reason="r",
        message="m",
        started_at_unix_ns=1,
        wall_ns=1,
        result=result,
        least_available_bytes=least,
    ).memory


def test_arena_and_least_available_memory_travel() -> None:
    memory = message_of(WorkerResult(runtime_version="1", arena_bytes=64, arena_source="s"), 4096)
    assert (memory.arena_bytes, memory.arena_source, memory.least_available_bytes) == (64, "s", 4096)


def test_a_block_that_ran_out_of_memory_tells_the_least_too() -> None:
    assert message_of(None, 4096).least_available_bytes == 4096


def test_what_is_not_known_stays_unset() -> None:
    memory = message_of(WorkerResult(runtime_version="1"), None)
    assert not memory.HasField("arena_bytes")
    assert not memory.HasField("least_available_bytes")
