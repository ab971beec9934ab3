"""Controller and agent share no code: that both take the same modes, and expect the same times, is held here."""

from __future__ import annotations

import pytest

from steelyard.analysis.duration import longest_energy_silence_ms, timed_window_ms
from steelyard.control.mode_plan import MODES, MOST_BATCH, check_mode, check_spec, mode_word
from steelyard.errors import UsageError
from steelyard_agent.jobs.idle_turn import longest_silence_ms
from steelyard_agent.jobs.planned_modes import planned_mode, planned_silence_ms
from steelyard_agent.worker import modes
from steelyard_agent.worker.block import Timing
from steelyard_protocol.v1 import plan_pb2

SINGLE, OFFLINE, PACED = plan_pb2.MODE_SINGLE_STREAM, plan_pb2.MODE_OFFLINE, plan_pb2.MODE_PACED
STREAMS, SUSTAINED, STEPWISE = plan_pb2.MODE_MULTI_STREAM, plan_pb2.MODE_SUSTAINED, plan_pb2.MODE_STEPWISE
DAY_MS = 24 * 3_600_000
STATE = {"h": "hn"}
# On both sides of every limit, and a field of another mode for each.
SPECS = (
    {"mode": plan_pb2.MODE_UNSPECIFIED},
    {"mode": SINGLE, "rate_hz": 1.0},
    {"mode": OFFLINE, "stream_count": 1},
    {"mode": 99},
    *({"mode": PACED, "rate_hz": rate} for rate in (-1.0, 0.0, 1e-6, 1e5, 1e5 + 1, float("inf"), float("nan"))),
    {"mode": PACED, "rate_hz": 1.0, "random_arrivals": True},
    *({"mode": STREAMS, "stream_count": count} for count in (0, 1, 64, 65)),
    *({"mode": SUSTAINED, "duration_ms": ms} for ms in (0, 199, 200, DAY_MS, DAY_MS + 1)),
    *({"mode": SUSTAINED, "duration_ms": 10_000, "point_ms": ms} for ms in (99, 100, 5_000, 5_001)),
    *({"mode": SUSTAINED, "duration_ms": 720_000, "point_ms": ms} for ms in (999, 1_000)),
    *(
        {"mode": STEPWISE, "step_counts": counts, "state_outputs": STATE}
        for counts in ((), (0,), (1,), (4, 4), (4, 2), (65_536,), (65_537,), range(1, 17), range(1, 18))
    ),
    {"mode": STEPWISE, "step_counts": (1,)},
    *(
        {"mode": STEPWISE, "step_counts": (1,), "state_outputs": {f"h{i}": "hn" for i in range(count)}}
        for count in (512, 513)
    ),
)
PLANS = (
    {"mode": SINGLE},
    {"mode": OFFLINE},
    *({"mode": PACED, "rate_hz": rate} for rate in (0.002, 0.0028, 0.3, 20.0, 5_000.0, 6_000.0)),
    {"mode": STREAMS, "stream_count": 4},
    {"mode": SUSTAINED, "duration_ms": 300_000},
    {"mode": STEPWISE, "step_counts": (1, 16), "state_outputs": STATE},
)


def taken_by_the_agent(spec: plan_pb2.ModeSpec) -> bool:
    try:
        planned_mode(spec)
    except ValueError:
        return False
    return True


def taken_by_the_controller(spec: plan_pb2.ModeSpec) -> bool:
    try:
        check_spec(spec)
    except UsageError:
        return False
    return True


def test_both_call_the_modes_the_same() -> None:
    specs = [plan_pb2.ModeSpec(**fields) for fields in PLANS]
    assert [planned_mode(spec).name for spec in specs] == [mode_word(spec.mode) for spec in specs]
    assert {mode_word(spec.mode) for spec in specs} == set(modes.MODES) == set(MODES)


@pytest.mark.parametrize("fields", SPECS, ids=str)
def test_the_controller_refuses_just_what_the_agent_refuses(fields: dict[str, object]) -> None:
    spec = plan_pb2.ModeSpec(**fields)
    assert taken_by_the_controller(spec) == taken_by_the_agent(spec)


def test_the_limits_are_met_from_both_sides() -> None:
    taken = [taken_by_the_agent(plan_pb2.ModeSpec(**fields)) for fields in SPECS]
    assert min(taken.count(True), taken.count(False)) > 10


@pytest.mark.parametrize("least_count", [0, 1, 10, 300])
@pytest.mark.parametrize("fields", PLANS, ids=str)
def test_both_expect_the_same_window_and_refuse_the_same_long_one(fields: dict[str, object], least_count: int) -> None:
    timing = plan_pb2.TimingSpec(sample_window_ms=200, min_sample_count=least_count)
    plan = plan_pb2.Plan(mode=plan_pb2.ModeSpec(**fields), timing=timing)
    try:
        ours = planned_mode(plan.mode).window_ms(200, least_count or Timing().min_sample_count)
    except ValueError:
        with pytest.raises(UsageError):
            check_mode(plan)
        return
    check_mode(plan)
    assert timed_window_ms(plan) == ours
    # The controller must not give a device up that is silent for as long as the device itself expects to be.
    assert timed_window_ms(plan) >= planned_silence_ms(plan)


@pytest.mark.parametrize("idle_ms", [0, 1_000, 30_000])
@pytest.mark.parametrize(("window_ms", "longest_ms"), [(2_000, 2_000), (2_000, 60_000), (10_000, 0)])
@pytest.mark.parametrize("pulses", [0, 4])
def test_the_controller_waits_as_long_as_a_block_of_energy_is_silent(
    idle_ms: int, window_ms: int, longest_ms: int, pulses: int
) -> None:
    marker = plan_pb2.LoadMarker(pulse_count=pulses, pulse_ms=500 if pulses else 0)
    energy = plan_pb2.EnergySpec(window_ms=window_ms, longest_window_ms=longest_ms, idle_ms=idle_ms, marker=marker)
    assert longest_energy_silence_ms(energy) == longest_silence_ms(energy)


def test_both_know_the_same_largest_batch() -> None:
    assert modes.MOST_BATCH == MOST_BATCH
