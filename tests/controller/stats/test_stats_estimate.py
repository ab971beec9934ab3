import math

import pytest

from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.student import mean_interval, t_quantile


def estimate(**changes: object) -> Estimate:
    fields = {"value": 2.0, "low": 1.0, "high": 3.0, "confidence": 0.95, "unit": "ns", "observation_count": 6}
    return Estimate(**{**fields, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": 1.0},
        {"confidence": 0.0},
        {"unit": ""},
        {"observation_count": -1},
        {"low": None},
        {"high": None, "reason": "x"},
        {"low": 2.5},
        {"high": 1.5},
        {"value": math.nan},
        {"high": math.inf},
        {"value": None, "reason": "x"},
        {"value": None, "low": None, "high": None},
        {"low": None, "high": None},
    ],
)
def test_an_estimate_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ValueError):
        estimate(**changes)


def test_an_unknown_estimate_carries_its_reason_and_no_zero():
    nothing = unknown("J", "no sensor", confidence=0.9)
    assert (nothing.value, nothing.low, nothing.high) == (None, None, None)
    assert nothing.reason == "no sensor"
    assert not nothing.has_interval
    assert nothing.relative_half_width is None


def test_an_exact_estimate_has_an_interval_of_no_width():
    size = exact(412.0, "B")
    assert size.has_interval
    assert size.relative_half_width == 0.0


def test_the_relative_half_width_is_half_the_interval_over_the_value():
    assert estimate().relative_half_width == pytest.approx(0.5)
    assert estimate(value=0.0, low=-1.0, high=1.0).relative_half_width is None


def test_the_t_interval_is_the_textbook_one():
    import numpy as np

    interval = mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.95)
    # t(0.975, 4) = 2.776; s / sqrt(5) = 0.7071.
    assert t_quantile(0.975, 4) == pytest.approx(2.7764, abs=1e-4)
    assert (interval.low, interval.high) == pytest.approx((3 - 1.9633, 3 + 1.9633), abs=1e-3)
    assert interval.standard_error == pytest.approx(0.70711, abs=1e-5)
    assert mean_interval(np.full(7, 0.1), 0.99).half_width == 0.0
