"""Operators and roofline passes between the wire and the worker."""

from __future__ import annotations

import pytest

from steelyard_agent.jobs.device_probe import device_turn, probe_block
from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.plan_check import check_grant, check_plan
from steelyard_agent.jobs.profile_messages import profile_message, rate_messages
from steelyard_agent.jobs.retry_policy import Failure, RetryPolicy
from steelyard_agent.jobs.staging import wanted_blobs
from steelyard_agent.worker.block import KIND_ROOFLINE, WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_agent.worker.records import OperatorRecord, RateRecord
from steelyard_protocol.v1 import common_pb2, plan_pb2, result_pb2, session_pb2

DIGEST, PROBE = "a" * 64, "b" * 64


def _plan(**roofline: object) -> plan_pb2.Plan:
    plan = plan_pb2.Plan(block_timeout_ms=60_000)
    plan.artifacts.add(
        artifact_digest=DIGEST,
        label="m",
        format=common_pb2.ARTIFACT_FORMAT_ONNX,
        size_bytes=9,
        runtime=plan_pb2.RuntimeSpec(name="onnxruntime", environment="old"),
    )
    model = {"name": "float32 by onnxruntime", "artifact_digest": PROBE, "size_bytes": 7, "mac_count": 1000} | roofline
    plan.roofline.window_ms, plan.roofline.thread_count = 100, 2
    plan.roofline.models.add(runtime=plan_pb2.RuntimeSpec(name="onnxruntime", intra_op_thread_count=2), **model)
    return plan


def test_the_probe_runs_in_the_environment_of_the_first_artifact() -> None:
    turn = device_turn(_plan())
    assert turn.runtime.environment == "old"
    assert turn.artifact_digest == ""
    block = probe_block(_plan(), lambda digest: f"/blobs/{digest}", lambda runtime: {"threads": runtime.name})
    assert (block.kind, block.probe_window_ms, block.probe_thread_count) == (KIND_ROOFLINE, 100, 2)
    (model,) = block.probe_models
    assert (model.model_path, model.mac_count, model.runtime) == (f"/blobs/{PROBE}", 1000, {"threads": "onnxruntime"})


def test_the_models_of_the_probe_are_fetched_with_the_rest() -> None:
    assert wanted_blobs(_plan()) == {DIGEST: 9, PROBE: 7}


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "a\nb"), ("mac_count", 0), ("artifact_digest", "../../etc/passwd"), ("size_bytes", 0)],
)
def test_a_model_of_the_probe_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    check_plan(_plan())
    with pytest.raises(InvalidPlanError, match="roofline probe"):
        check_plan(_plan(**{field: value}))


@pytest.mark.parametrize("path", ["operators.window_ms", "roofline.window_ms", "roofline.thread_count"])
def test_windows_and_threads_beyond_reason_are_refused(path: str) -> None:
    plan = _plan()
    message, _, field = path.partition(".")
    setattr(getattr(plan, message), field, 10_000_000)
    with pytest.raises(InvalidPlanError, match="10000000"):
        check_plan(plan)


@pytest.mark.parametrize("pass_kind", [result_pb2.PASS_OPERATORS, result_pb2.PASS_ROOFLINE])
def test_a_pass_that_the_plan_says_nothing_of_is_not_granted(pass_kind: int) -> None:
    plan = _plan()
    plan.ClearField("roofline")
    grant = session_pb2.RoundGrant(pass_kind=pass_kind, round_count=1)
    with pytest.raises(InvalidPlanError, match="the plan asks for none"):
        check_grant(grant, plan)
    plan.operators.window_ms = 10
    plan.roofline.window_ms = 10
    check_grant(grant, plan)


def test_what_is_not_known_stays_unset_on_the_wire() -> None:
    result = WorkerResult(
        runtime_version="1",
        rates=(RateRecord(name="memory read", unit="B/s", rate_per_s=None, how="too little memory"),),
        operators_reason="no profiler",
    )
    (rate,) = rate_messages(result)
    assert not rate.HasField("rate_per_s")
    assert rate.how == "too little memory"
    assert profile_message(result).reason == "no profiler"
    assert profile_message(WorkerResult(runtime_version="1")) is None


def test_operators_travel_with_their_names_and_counts() -> None:
    record = OperatorRecord(
        name="conv", kind="Conv", provider="CPU", call_count=5, total_ns=12_000, outputs=("y", "relu")
    )
    message = profile_message(
        WorkerResult(runtime_version="1", operators=(record,), profiled_count=5, profiled_ns=20_000)
    )
    (one,) = message.operators
    assert (one.name, one.kind, one.provider, one.call_count, one.total_ns, list(one.outputs)) == (
        *("conv", "Conv", "CPU", 5, 12_000, ["y", "relu"]),
    )
    assert (message.inference_count, message.wall_ns) == (5, 20_000)


def test_a_model_that_cannot_be_profiled_is_still_timed() -> None:
    policy = RetryPolicy()
    failure = Failure(status=BlockStatus.UNSUPPORTED, reason="r", message="m", pass_kind=result_pb2.PASS_OPERATORS)
    policy.record("m", failure)
    assert policy.verdict("m", result_pb2.PASS_LATENCY) is None
    assert policy.verdict("m", result_pb2.PASS_OPERATORS) is failure
