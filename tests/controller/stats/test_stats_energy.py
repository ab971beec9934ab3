"""Gross, net and idle with planted truths: what is told apart from idle, what is not, and how uncertain it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steelyard.stats.energy import (
    NOT_DISTINGUISHABLE,
    RoundEnergy,
    Uncertain,
    baseline,
    expanded_of,
    in_quadrature,
    is_distinguishable,
    net_over_rounds,
    over_rounds,
)


def of(value: float, expanded: float | None = 0.02) -> Uncertain:
    return Uncertain(value=value, expanded=expanded)


def test_net_is_gross_less_idle_over_the_time_of_an_inference() -> None:
    idle = baseline(of(2.0, 0.01), of(2.0, 0.01))
    # 5 W for 10 s, 1000 inferences.
    one = RoundEnergy(gross=of(0.05, 0.001), inference_s=0.01, idle=idle)
    assert one.net is not None
    assert one.net.value == pytest.approx(0.03)
    # Idle's own, 0.01 W in both halves, for 10 ms.
    assert one.net.expanded == pytest.approx(math.hypot(0.001, 0.01 * 0.01))
    assert (one.mean_power.value, one.mean_power.expanded) == pytest.approx((5.0, 0.1))


def test_without_a_baseline_there_is_no_net_and_a_reason() -> None:
    one = RoundEnergy(gross=of(0.05), inference_s=0.01, why_no_idle="it fell over")
    assert one.net is None
    assert one.loading is None
    with pytest.raises(ValueError, match="no reason"):
        RoundEnergy(gross=of(0.05), inference_s=0.01)


@pytest.mark.parametrize("parts", [(1.0, None), (None,)])
def test_what_is_not_known_is_not_added_as_zero(parts) -> None:
    assert in_quadrature(*parts) is None
    assert baseline(of(2.0, None), of(2.0)).power.expanded is None


@pytest.mark.parametrize(
    ("before", "after", "drifted"),
    [
        (of(2.0, 0.01), of(2.05, 0.01), False),
        (of(2.0, 0.01), of(2.07, 0.01), True),
        # 3.5 % apart, but by less than both are uncertain by.
        (of(2.0, 0.06), of(2.07, 0.06), False),
        # Nothing is known of the uncertainty: the 3 % alone decide.
        (of(2.0, None), of(2.07, None), True),
    ],
)
def test_baselines_drift_beyond_3_percent_and_beyond_their_uncertainty(before, after, drifted: bool) -> None:
    found = baseline(before, after)
    assert bool(found.drifted) is drifted
    if drifted:
        assert found.drifted == "2 W before the models and 2.07 W after them"


def test_a_drift_widens_the_uncertainty_of_the_baseline_it_leaves() -> None:
    steady, drifting = baseline(of(2.0), of(2.0)), baseline(of(1.9), of(2.1))
    assert steady.power.value == drifting.power.value == pytest.approx(2.0)
    assert steady.power.expanded < 0.1 / math.sqrt(3) * 2 <= drifting.power.expanded


def test_one_half_of_a_baseline_is_better_than_none() -> None:
    assert baseline(None, of(2.0)).power == of(2.0)
    assert baseline(None, None) is None


def test_the_interval_over_rounds_is_never_narrower_than_what_the_rounds_share() -> None:
    same = over_rounds([of(1.0, 0.05)] * 3, "J")
    assert same.value == pytest.approx(1.0)
    assert same.high - same.value == pytest.approx(0.05, rel=0.03)
    scattered = over_rounds([of(0.8, 0.001), of(1.0, 0.001), of(1.2, 0.001)], "J")
    assert scattered.high - scattered.low > 0.5
    assert expanded_of(scattered, []) > 0.25


def test_below_three_rounds_there_is_a_value_and_no_interval() -> None:
    for estimate in (over_rounds([of(1.0)] * 2, "J"), net_over_rounds([of(1.0)] * 2)):
        assert (estimate.value, estimate.low) == (1.0, None)
        assert "an interval needs 3 rounds" in estimate.reason
    assert expanded_of(over_rounds([of(1.0)] * 2, "J"), [of(1.0)] * 2) == pytest.approx(0.02)


def test_nothing_measured_is_unknown() -> None:
    assert over_rounds([], "J").value is None
    assert net_over_rounds([]).value is None


@pytest.mark.parametrize(
    ("rounds", "told_apart"),
    [
        ([of(0.10), of(0.11), of(0.09)], True),
        ([of(0.01), of(0.01), of(0.01)], False),
        ([of(-0.10), of(-0.11), of(-0.09)], False),
        # Each round is sure of itself, and they contradict each other.
        ([of(0.30), of(-0.20), of(0.10)], False),
        ([of(0.01)], False),
        ([of(0.10)], True),
    ],
)
def test_net_below_twice_its_uncertainty_is_not_told_apart_from_idle(rounds, told_apart: bool) -> None:
    estimate = net_over_rounds(rounds)
    assert is_distinguishable(rounds) is told_apart
    assert (estimate.reason == NOT_DISTINGUISHABLE) is not told_apart
    assert estimate.value == pytest.approx(np.mean([one.value for one in rounds]))


def test_noise_around_idle_is_taken_for_a_load_in_few_of_many_sessions() -> None:
    """k = 2 two-sided, so one-sided 2.3 % at most, and the larger of two criteria is stricter still."""
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(1000):
        rounds = [of(float(value), 0.02) for value in rng.normal(0.0, 0.01, 3)]
        false += is_distinguishable(rounds)
    assert false <= 23


@pytest.mark.parametrize(("value", "expanded"), [(math.nan, 0.1), (1.0, -0.1), (1.0, math.inf)])
def test_nonsense_is_refused(value: float, expanded: float) -> None:
    with pytest.raises(ValueError, match="no measured value"):
        Uncertain(value=value, expanded=expanded)
