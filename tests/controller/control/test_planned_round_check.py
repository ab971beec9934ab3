"""A round is recorded only when its blocks are those of the plan that asked for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from steelyard.control.planned_round_check import refuse_unplanned
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import plan_pb2, result_pb2
from tests.controller.analysis.planted_rounds import latency_rounds, request_of, round_of
from tests.support.mode_rounds import STEPWISE, rounds_of, stepped

PLAN = request_of(["a", "b"]).plan
Spoil = Callable[[result_pb2.RoundResult], object]


def planted() -> result_pb2.RoundResult:
    (result,) = latency_rounds({"a": 1e6, "b": 2e6}, 1)
    return result


def test_rounds_of_their_plan_pass() -> None:
    refuse_unplanned(planted(), PLAN)
    # Nothing had to be prepared.
    refuse_unplanned(round_of(result_pb2.PASS_PREPARATION, 0, []), PLAN)


def test_idle_baselines_and_the_device_belong_to_passes_of_their_own() -> None:
    energy = planted()
    energy.pass_kind = result_pb2.PASS_ENERGY
    energy.blocks.add(label="idle before", role=result_pb2.BLOCK_ROLE_IDLE_BEFORE)
    energy.blocks.add(label="idle after", role=result_pb2.BLOCK_ROLE_IDLE_AFTER)
    refuse_unplanned(energy, PLAN)
    device = result_pb2.BlockResult(label="the device", role=result_pb2.BLOCK_ROLE_DEVICE)
    refuse_unplanned(round_of(result_pb2.PASS_ROOFLINE, 0, [device]), PLAN)


def test_sequences_of_the_planned_length_pass() -> None:
    plan = plan_pb2.Plan(artifacts=PLAN.artifacts, mode=STEPWISE)
    refuse_unplanned(rounds_of({"a": 1e6, "b": 2e6}, (stepped,), 1)[0], plan)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda result: result.ClearField("blocks"), "it has no block"),
        (lambda result: setattr(result.blocks[0], "label", "z"), "'z' is no artifact of it"),
        (lambda result: result.blocks.add(label="a"), "'a' comes twice"),
        (lambda result: setattr(result.blocks[1], "role", result_pb2.BLOCK_ROLE_IDLE_AFTER), "'b' has role 2"),
        (lambda result: result.blocks[0].sequences.add(step_ns=[5] * 7), "a sequence of 7 steps, and 0 are planned"),
    ],
)
def test_what_was_not_planned_is_refused(spoil: Spoil, part: str) -> None:
    result = planted()
    spoil(result)
    with pytest.raises(SteelyardError, match=part) as caught:
        refuse_unplanned(result, PLAN)
    assert caught.value.reason == "bad_round"
