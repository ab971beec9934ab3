"""A sentinel finds the drift that was planted and stays silent without one."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.stats.sentinel import LEAST_CHANGE, LEAST_SESSIONS, judge_sentinel


def nights(count: int, *, deviation: float = 0.012, seed: int = 0, level: float = 2e6) -> list[float]:
    """Sessions of one device that did not change."""
    return list(level * np.exp(np.random.default_rng(seed).normal(0.0, deviation, count)))


@pytest.mark.parametrize("factor", [1.1, 1.3, 0.85])
def test_a_planted_drift_is_found_and_said_in_the_right_direction(factor: float) -> None:
    verdict = judge_sentinel(nights(20), 2e6 * factor)
    assert verdict.kind == "drifted"
    assert verdict.change == pytest.approx(factor - 1, abs=0.02)
    assert ("slower" if factor > 1 else "faster") in verdict.reason


def test_a_device_that_did_not_change_is_hardly_ever_called_drifted() -> None:
    wrong = 0
    for seed in range(1000):
        *past, now = nights(12, seed=seed, deviation=0.03)
        wrong += judge_sentinel(past, now).kind == "drifted"
    # At 99 % ten of a thousand; sixteen is two standard deviations above that.
    assert wrong <= 16


def test_a_change_that_nobody_would_act_on_is_no_drift_however_sure_it_is() -> None:
    verdict = judge_sentinel([2e6] * 200, 2e6 * (1 + 0.9 * LEAST_CHANGE))
    assert (verdict.kind, verdict.allowed) == ("steady", LEAST_CHANGE)


def test_a_device_whose_nights_differ_much_needs_a_larger_change() -> None:
    assert judge_sentinel(nights(20, deviation=0.08), 2.2e6).kind == "steady"
    assert judge_sentinel(nights(20, deviation=0.01), 2.2e6).kind == "drifted"


def test_few_sessions_say_nothing() -> None:
    verdict = judge_sentinel(nights(LEAST_SESSIONS - 1), 9e6)
    assert (verdict.kind, verdict.change) == ("unknown", None)
    assert "too few" in verdict.reason


@pytest.mark.parametrize(("past", "now"), [([1.0] * 9, 0.0), ([0.0] * 9, 1.0), ([1.0] * 9, float("nan"))])
def test_what_is_no_figure_is_refused(past: list[float], now: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        judge_sentinel(past, now)
