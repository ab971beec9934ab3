"""The stop rule and the comparison together, on planted truths: how often they err, and what they find."""

import math

import numpy as np
import pytest

from steelyard.stats.comparison import ComparisonVerdict, compare_rounds
from steelyard.stats.stopping import StopRule

DIFFERENT = {ComparisonVerdict.FASTER, ComparisonVerdict.SLOWER}
SESSIONS = 1000
TAILS = 4


def logs_of(random, rounds, *, sigma, ratio=1.0, sessions=SESSIONS):
    """Log ratios [sessions, rounds] of two launches with the tails of Student's t and an sd of ``sigma``."""
    scale = sigma / math.sqrt(2.0) / math.sqrt(TAILS / (TAILS - 2.0))
    launches = scale * random.standard_t(TAILS, (2, sessions, rounds))
    return launches[0] - launches[1] - math.log(ratio)


def verdict_of(rule, logs, *, last=None):
    """Walk through the looks until one decides; ``last``: the round after which the budget ends."""
    end = last or rule.max_rounds
    for look in [*(one for one in rule.looks if one < end), end]:
        comparison = compare_rounds(
            np.exp(logs[:look]),
            np.ones(look),
            confidence=rule.look_confidence(0.99, look, is_last=look == end),
            equivalence_confidence=rule.look_confidence(0.95, look, is_last=look == end),
        )
        if comparison.verdict is not ComparisonVerdict.UNDECIDED:
            return comparison.verdict
    return ComparisonVerdict.UNDECIDED


def share(verdicts, wanted):
    return np.mean([one in wanted for one in verdicts])


@pytest.mark.parametrize(("sigma", "last", "least_same"), [(0.015, 12, 0.97), (0.015, None, 0.995), (0.03, 12, 0.6)])
def test_a_model_with_itself_is_hardly_ever_different_and_mostly_settled(sigma, last, least_same):
    verdicts = [verdict_of(StopRule(), one, last=last) for one in logs_of(np.random.default_rng(1), 40, sigma=sigma)]
    assert share(verdicts, DIFFERENT) <= 0.005
    assert share(verdicts, {ComparisonVerdict.NO_DIFFERENCE}) >= least_same


@pytest.mark.parametrize("ratio", [1.03, 1.05])
def test_a_slowdown_of_three_to_five_percent_is_found(ratio):
    logs = logs_of(np.random.default_rng(2), 40, sigma=0.015, ratio=ratio)
    verdicts = [verdict_of(StopRule(), one) for one in logs]
    assert share(verdicts, {ComparisonVerdict.SLOWER}) >= 0.98
    assert ComparisonVerdict.FASTER not in verdicts


def test_extending_whatever_is_undecided_keeps_the_error():
    # So loud that nothing is ever settled: whoever extends does so three times, and looks every time.
    random = np.random.default_rng(3)
    rules = [StopRule(max_rounds=20)]
    rules += [StopRule(earlier_rounds=20 * step, max_rounds=20 * step + 20, extension=step) for step in (1, 2, 3)]
    alarms = 0
    for one in logs_of(random, 80, sigma=0.2, sessions=400):
        verdicts = (verdict_of(rule, one) for rule in rules)
        alarms += any(verdict in DIFFERENT for verdict in verdicts)
    assert alarms <= 0.01 * 400


def test_an_extension_settles_what_the_first_measurement_left_open():
    random = np.random.default_rng(4)
    first, more = StopRule(max_rounds=12), StopRule(earlier_rounds=12, max_rounds=52, extension=1)
    left_open = [one for one in logs_of(random, 52, sigma=0.03) if verdict_of(first, one) not in DIFFERENT]
    settled = [verdict_of(more, one) for one in left_open if verdict_of(first, one) is ComparisonVerdict.UNDECIDED]
    assert len(settled) > 100
    assert share(settled, {ComparisonVerdict.NO_DIFFERENCE}) >= 0.9
    assert share(settled, DIFFERENT) <= 0.01
