"""A device whose agent does not know modes or batches is no device for a plan that has them."""

from __future__ import annotations

import pytest

from steelyard.control.job_end import JobEnd
from steelyard.control.older_agents import refuse_when_ignored
from steelyard_protocol.v1 import control_pb2, plan_pb2, result_pb2
from tests.controller.analysis.planted_rounds import latency_rounds, request_of
from tests.support.mode_rounds import OFFLINE, rounds_of

TRUTH = {"a": 1e6}


def plan_of(mode: plan_pb2.ModeSpec | None = None, batch_size: int = 0) -> plan_pb2.Plan:
    plan = request_of(["a"]).plan
    plan.mode.CopyFrom(mode or plan_pb2.ModeSpec())
    plan.artifacts[0].batch_size = batch_size
    return plan


def test_what_an_older_agent_can_do_goes_on() -> None:
    refuse_when_ignored(latency_rounds(TRUTH, 2), plan_of())
    refuse_when_ignored(latency_rounds(TRUTH, 2), plan_of(batch_size=1))


def test_rounds_of_the_mode_and_batch_that_were_asked_for_go_on() -> None:
    rounds = rounds_of(TRUTH, (), 2)
    refuse_when_ignored(rounds, plan_of(OFFLINE))
    for result in rounds:
        result.blocks[0].batch_size = 4
    refuse_when_ignored(rounds, plan_of(OFFLINE, batch_size=4))


def test_a_block_that_failed_says_itself_why() -> None:
    rounds = latency_rounds(TRUTH, 1, failures={(0, "a"): (result_pb2.BLOCK_STATUS_UNSUPPORTED, "no such mode")})
    refuse_when_ignored(rounds, plan_of(OFFLINE, batch_size=4))


@pytest.mark.parametrize(
    ("plan", "ignored"), [(plan_of(OFFLINE), "--mode offline"), (plan_of(batch_size=4), "--batch 4")]
)
def test_figures_of_another_question_end_the_job(plan: plan_pb2.Plan, ignored: str) -> None:
    with pytest.raises(JobEnd, match=f"measured a and ignored {ignored}: update its agent") as caught:
        refuse_when_ignored(latency_rounds(TRUTH, 1), plan)
    assert caught.value.state == control_pb2.JOB_STATE_AGENT_ERROR
