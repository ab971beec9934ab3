from __future__ import annotations

import pytest

from steelyard_agent.jobs.retry_policy import Failure, RetryPolicy
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1.result_pb2 import PASS_EVALUATION, PASS_LATENCY


def recorded(status, count=1, *, pass_kind=PASS_LATENCY, reason="planted"):
    policy = RetryPolicy()
    for _ in range(count):
        policy.record("model", Failure(status=status, reason=reason, message="m", pass_kind=pass_kind))
    return policy


def test_what_the_system_kills_is_tried_twice_more():
    assert recorded(BlockStatus.KILLED_BY_OS, 2).verdict("model", PASS_LATENCY) is None
    assert recorded(BlockStatus.KILLED_BY_OS, 3).verdict("model", PASS_LATENCY) is not None


@pytest.mark.parametrize(("reason", "may_run"), [("accuracy_not_measured", True), ("unsupported_op", False)])
def test_a_runtime_without_evaluation_may_still_be_timed(reason, may_run):
    policy = recorded(BlockStatus.UNSUPPORTED, pass_kind=PASS_EVALUATION, reason=reason)
    assert (policy.verdict("model", PASS_LATENCY) is None) == may_run
    assert policy.verdict("model", PASS_EVALUATION) is not None
