"""How much sessions differ: planted devices that wander between sessions, and one that does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.session_spread import SessionFigure, no_narrower, no_narrower_each, session_spread

SERIES = "resnet"


def sessions_of(deviation: float, count: int, *, series: str = SERIES, seed: int = 1) -> list[SessionFigure]:
    logs = np.random.default_rng(seed).normal(math.log(1e6), deviation, count)
    return [SessionFigure(series=series, value=float(np.exp(one))) for one in logs]


def estimate(value: float, half: float, confidence: float = 0.95) -> Estimate:
    return Estimate(
        value=value,
        low=value * (1 - half),
        high=value * (1 + half),
        confidence=confidence,
        unit="ns",
        observation_count=6,
    )


def test_a_device_that_nobody_measured_is_believed_to_differ_by_one_percent() -> None:
    spread = session_spread([], SERIES)
    assert spread.deviation == pytest.approx(0.01)
    assert spread.session_count == 0
    assert 0.02 < spread.half_width(0.95) < 0.03
    assert spread.degrees == 4.0


def test_many_sessions_outweigh_what_was_believed() -> None:
    wandering = session_spread(sessions_of(0.05, 100), SERIES)
    steady = session_spread(sessions_of(0.001, 100), SERIES)
    assert wandering.deviation == pytest.approx(0.05, rel=0.2)
    assert steady.deviation < 0.004
    assert steady.session_count == 100


def test_a_series_that_is_new_is_believed_to_differ_as_the_others_of_the_device_do() -> None:
    others = sessions_of(0.04, 50, series="mobilenet")
    assert session_spread(others, SERIES).deviation == pytest.approx(0.04, rel=0.25)


def test_levels_of_different_models_are_no_difference_between_sessions() -> None:
    levels = [
        SessionFigure(series=f"model-{index}", value=10.0 ** (5 + index)) for index in range(4) for _ in range(20)
    ]
    assert session_spread(levels, "model-0").deviation < 0.004


@pytest.mark.parametrize(("deviation", "within"), [(0.012, 0.004), (0.008, 0.001), (0.05, 0.01)])
def test_intervals_of_single_sessions_hold_the_long_runs_figure_in_95_of_100_cases(
    deviation: float, within: float
) -> None:
    rng = np.random.default_rng(7)
    held = total = 0
    for _ in range(40):
        past = sessions_of(deviation, 3, seed=int(rng.integers(1000)))
        for _ in range(30):
            value = float(np.exp(math.log(1e6) + rng.normal(0, deviation) + rng.normal(0, within)))
            one = no_narrower(estimate(value, 2 * within), session_spread(past, SERIES))
            assert one.low is not None
            assert one.high is not None
            held += one.low <= 1e6 <= one.high
            total += 1
            past.append(SessionFigure(series=SERIES, value=value))
    assert 0.92 <= held / total <= 0.995


def test_a_wide_interval_and_an_unknown_one_stay_as_they_are() -> None:
    spread = session_spread(sessions_of(0.001, 100), SERIES)
    wide, nothing = estimate(1e6, 0.3), unknown("ns", "nothing was measured")
    assert no_narrower(wide, spread) == wide
    assert no_narrower(nothing, spread) is nothing
    assert no_narrower(wide, None) is wide


def test_an_interval_of_no_width_is_widened_on_both_sides() -> None:
    spread = session_spread(sessions_of(0.02, 50), SERIES)
    one = no_narrower_each({"p50": estimate(1e6, 0.0), "p90": estimate(2e6, 0.0)}, {"p50": spread})
    assert one["p50"].low is not None
    assert one["p50"].low < 0.97e6
    assert one["p50"].high is not None
    assert one["p50"].high > 1.03e6
    assert one["p90"].relative_half_width == 0.0


def test_more_confidence_is_wider() -> None:
    spread = session_spread(sessions_of(0.02, 10), SERIES)
    assert spread.half_width(0.99) > spread.half_width(0.95) > spread.half_width(0.8)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_figure_without_a_logarithm_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        SessionFigure(series=SERIES, value=value)


def test_sessions_that_resemble_their_neighbours_are_held_as_often() -> None:
    rng = np.random.default_rng(3)
    held = total = 0
    for _ in range(60):
        level, past = rng.normal(0, 0.02), sessions_of(0.02, 3, seed=int(rng.integers(1000)))
        for _ in range(30):
            level = 0.5 * level + rng.normal(0, 0.02 * math.sqrt(0.75))
            value = 1e6 * math.exp(level)
            one = no_narrower(estimate(value, 0.001), session_spread(past, SERIES))
            assert one.low is not None
            assert one.high is not None
            held += one.low <= 1e6 <= one.high
            total += 1
            past.append(SessionFigure(series=SERIES, value=value))
    assert 0.92 <= held / total <= 0.99
