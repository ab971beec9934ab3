"""Earlier sessions of a device in a measurement's figures: what they leave behind, and what they widen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.session_history import FIGURES, series_of, session_figures, spreads_of
from steelyard.analysis.stop import StopPolicy
from steelyard_protocol.v1 import control_pb2, measurement_pb2, plan_pb2
from tests.controller.analysis.planted_rounds import given, latency_rounds, request_of

PAIR = {"original": 2e6, "fast": 1e6}


def half_width(estimate: measurement_pb2.Estimate) -> float:
    return (estimate.high - estimate.low) / 2 / estimate.value


def history_of(plan: plan_pb2.Plan, values_ns: dict[str, list[float]]) -> control_pb2.SessionHistory:
    history = control_pb2.SessionHistory()
    for planned in plan.artifacts:
        for index, value_ns in enumerate(values_ns[planned.label]):
            for figure in FIGURES:
                history.sessions.add(
                    job_id=f"earlier-{index}", series=series_of(planned, plan.mode), figure=figure, value_ns=value_ns
                )
    return history


def test_a_session_leaves_a_figure_a_model_and_none_of_the_sessions_that_it_extends() -> None:
    plan = request_of(tuple(PAIR)).plan
    rounds = latency_rounds(PAIR, 8)
    for one in rounds[:4]:
        one.job_id = "extended"
    left = session_figures(plan, rounds, "job-0001")
    by_figure = {(one.series, one.figure): one.value_ns for one in left}
    assert len(by_figure) == len(left) == 2 * 3  # 400 samples a model are too few for p99
    for planned in plan.artifacts:
        value = by_figure[series_of(planned, plan.mode), "p50"]
        assert value == pytest.approx(PAIR[planned.label], rel=0.03)
    assert session_figures(plan, rounds, "nobody") == []


def test_a_series_is_what_was_measured_and_how_whatever_it_was_called() -> None:
    plan = request_of(("original",)).plan
    planned, mode = plan.artifacts[0], plan.mode
    renamed, threaded = plan_pb2.PlannedArtifact(), plan_pb2.PlannedArtifact()
    renamed.CopyFrom(planned)
    renamed.label = "another"
    threaded.CopyFrom(planned)
    threaded.runtime.intra_op_thread_count = 4
    assert series_of(renamed, mode) == series_of(planned, mode)
    assert series_of(threaded, mode) != series_of(planned, mode)
    assert series_of(planned, plan_pb2.ModeSpec(mode=plan_pb2.MODE_OFFLINE)) != series_of(planned, mode)


def test_a_device_whose_sessions_differ_widens_latency_and_leaves_ratios_alone() -> None:
    recorded = given(tuple(PAIR), latency_rounds(PAIR, 10))
    wandering = history_of(recorded.request.plan, {"original": [1.8e6, 2.2e6] * 10, "fast": [0.9e6, 1.1e6] * 10})
    alone, beside = build_measurement(recorded), build_measurement(replace(recorded, history=wandering))
    for before, after in zip(alone.variants, beside.variants, strict=True):
        assert half_width(after.p50_latency) > 0.15 > half_width(before.p50_latency)
        assert half_width(after.p90_latency) > 0.15
        assert after.p50_latency.value == before.p50_latency.value
        assert after.speedup == before.speedup
        assert after.peak_memory == before.peak_memory
    assert alone.session_spread == ""
    assert "differ by" in beside.session_spread
    assert "40 earlier figures" in beside.session_spread


def test_a_record_with_an_empty_history_takes_what_is_believed_of_any_device() -> None:
    recorded = given(tuple(PAIR), latency_rounds(PAIR, 10))
    fresh = build_measurement(replace(recorded, history=control_pb2.SessionHistory()))
    assert "taken until its own sessions say more" in fresh.session_spread
    assert half_width(fresh.variants[0].p50_latency) >= 0.02
    assert spreads_of(recorded.request.plan, None) == {}


def test_a_requirement_that_the_devices_sessions_straddle_is_not_decided() -> None:
    request = request_of(("original",), requirements=["p50<2100us"])
    rounds = latency_rounds({"original": 2e6}, 10, wobble=0.001)
    steady, wandering = [2.0e6] * 30, [1.8e6, 2.2e6] * 15
    settled, open_ = (
        StopPolicy.of(request, history=history_of(request.plan, {"original": values})).decide(rounds)
        for values in (steady, wandering)
    )
    assert settled.reason == "every verdict was settled after 10 rounds"
    # More rounds of the same minutes would not settle it either: the median of this session is known well enough.
    assert "the widest interval" in open_.reason
    for values, verdict in (
        (steady, measurement_pb2.REQUIREMENT_VERDICT_MEETS),
        (wandering, measurement_pb2.REQUIREMENT_VERDICT_UNDECIDED),
    ):
        recorded = given(("original",), rounds, requirements=["p50<2100us"])
        recorded = replace(recorded, history=history_of(request.plan, {"original": values}))
        assert build_measurement(recorded).variants[0].requirements[0].verdict == verdict
