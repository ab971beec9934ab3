"""Suspicions that nothing explains: what lasts, what does not, and what one night alone shows."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.series.history import History, history_of
from steelyard.series.lasting import CERTAIN_P, LASTING_P, is_beyond_noise, lasting_p
from steelyard.series.metric_rules import rule_for
from steelyard.series.series_key import SeriesKey

KEY = SeriesKey(suite="s", model="m", device_id="d", runtime="r", metric="p50")
RULE = rule_for("p50")
GOOD = 30


def nights_of(later: list[float], *, first: float = 1.12, deviation: float = 0.015, seed: int = 1) -> History:
    """Return 30 quiet nights, the one that raised the suspicion, and later ones, all relative to 20 ms."""
    quiet = np.exp(np.random.default_rng(seed).normal(0.0, deviation, GOOD))
    values = 20e6 * np.array([*quiet, first, *later])
    return history_of(KEY, range(values.size), values.tolist())


def later_p(history: History) -> float | None:
    return lasting_p(history, RULE, first_bad=GOOD, opened=GOOD)


def test_the_first_two_nights_say_nothing_yet() -> None:
    assert later_p(nights_of([])) is None
    assert later_p(nights_of([1.12])) is None


def test_nights_that_stay_worse_last_and_nights_that_come_back_do_not() -> None:
    stays, comes_back = later_p(nights_of([1.10, 1.11])), later_p(nights_of([1.01, 1.0]))
    assert stays is not None
    assert stays < LASTING_P
    assert comes_back is not None
    assert comes_back > 0.1


def test_the_night_that_raised_the_suspicion_counts_on_neither_side() -> None:
    assert later_p(nights_of([1.03, 1.04], first=1.12)) == pytest.approx(later_p(nights_of([1.03, 1.04], first=3.0)))


def test_later_nights_that_are_better_are_no_evidence() -> None:
    assert later_p(nights_of([0.9, 0.9])) == 1.0


def test_of_quiet_series_none_lasts_in_hundreds() -> None:
    found = []
    for seed in range(400):
        later = np.exp(np.random.default_rng(1000 + seed).normal(0.0, 0.015, 3)).tolist()
        found.append(later_p(nights_of(later, seed=seed)))
    assert min(one for one in found if one is not None) > LASTING_P


def test_equal_nights_are_no_more_certain_than_a_quiet_device() -> None:
    # Of 0.1 % more on a series that never moved, the bare t-test would make a certainty.
    flat = history_of(KEY, range(GOOD + 3), [20e6] * (GOOD + 1) + [20.02e6] * 2)
    found = later_p(flat)
    assert found is not None
    assert found > 0.1


@pytest.mark.parametrize(
    ("night_p", "later", "is_beyond"),
    [
        (0.01, None, False),
        (0.01, LASTING_P * 2, False),
        (0.01, LASTING_P / 2, True),
        (CERTAIN_P / 2, None, True),
        (CERTAIN_P * 2, None, False),
    ],
)
def test_a_suspicion_counts_once_it_lasts_or_where_one_night_leaves_no_doubt(
    night_p: float, later: float | None, is_beyond: bool
) -> None:
    assert is_beyond_noise(night_p, later) is is_beyond
