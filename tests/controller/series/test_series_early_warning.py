"""The early warning sees what was planted, and is robust against single odd nights."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.series.early_warning import LEAST_DEVIATION, LEAST_PAST, LONGEST_PAST, robust_deviation, shifts


def logs(count: int, seed: int = 0, noise: float = 0.015) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, noise, count)


def test_the_first_nights_say_nothing() -> None:
    assert shifts(logs(LEAST_PAST)) == ()
    assert [one.window for one in shifts(logs(LEAST_PAST + 1))] == [1]
    assert [one.window for one in shifts(logs(LEAST_PAST + 3))] == [1, 2, 3]


@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_planted_shift_is_seen_by_the_window_that_covers_it(window: int) -> None:
    planted = logs(40)
    planted[-window:] = 0.08
    found = shifts(planted)[window - 1]
    assert found.size == pytest.approx(0.08, abs=0.01)
    assert found.p_more < 1e-3 < 0.5 < found.p_less


def test_only_four_weeks_before_the_window_count() -> None:
    long_ago = np.concatenate([np.full(50, 1.0), logs(LONGEST_PAST + 1)])
    found = shifts(long_ago)[0]
    assert (found.past_count, abs(found.centre) < 0.01) == (LONGEST_PAST, True)


def test_a_few_odd_nights_do_not_hide_a_shift() -> None:
    planted = logs(30)
    planted[[3, 11, 20]] = 0.4
    planted[-1] = 0.08
    assert shifts(planted)[0].p_more < 1e-3


def test_nights_that_are_all_alike_differ_by_a_third_of_a_percent_at_least() -> None:
    assert robust_deviation(np.zeros(20), 0.0) == LEAST_DEVIATION
    assert shifts(np.append(np.zeros(20), 0.002))[0].p_more > 0.5


def test_the_robust_deviation_is_that_of_normal_nights() -> None:
    drawn = [robust_deviation(values := logs(28, seed), float(np.median(values))) for seed in range(400)]
    assert np.mean(drawn) == pytest.approx(0.015, rel=0.05)
