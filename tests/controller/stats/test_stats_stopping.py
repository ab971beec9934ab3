import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.stats.comparison import ComparisonVerdict, compare_rounds
from steelyard.stats.stopping import Grant, Progress, Stop, StopReason, StopRule, next_grant, planned_looks
from tests.controller.stats.planted import round_medians

SECOND = 10**9


def at(round_count, device_time_ns=0, **changes):
    return Progress(round_count=round_count, device_time_ns=device_time_ns, **changes)


def test_the_looks_grow_by_about_half():
    assert StopRule().looks == (6, 9, 13, 19, 28, 40)
    assert planned_looks(3, 3) == (3,)


@settings(deadline=None)
@given(st.integers(3, 50), st.integers(0, 300))
def test_looks_rise_from_the_least_to_the_most(least, more):
    looks = planned_looks(least, least + more)
    assert (looks[0], looks[-1]) == (least, least + more)
    assert all(one < two for one, two in itertools.pairwise(looks))


@pytest.mark.parametrize(
    "fields",
    [
        {"min_rounds": 2},
        {"min_rounds": 10, "max_rounds": 9},
        {"target_half_width": -0.1},
        {"budget_ns": 0},
        {"looks": (6, 6, 40)},
        {"looks": (7, 40)},
        {"looks": (6, 39)},
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(fields):
    with pytest.raises(ValueError):
        StopRule(**fields)


def test_the_error_is_shared_by_the_looks():
    assert StopRule().look_confidence(0.99) == pytest.approx(1 - 0.01 / 6)
    assert StopRule(looks=(6, 40)).look_confidence(0.95) == pytest.approx(0.975)


def test_rounds_are_granted_up_to_the_next_look():
    rule = StopRule()
    assert next_grant(rule, at(0)) == Grant(round_count=6)
    assert next_grant(rule, at(6)) == Grant(round_count=3)
    assert next_grant(rule, at(7)) == Grant(round_count=2)
    assert next_grant(rule, at(28)) == Grant(round_count=12)


def test_a_verdict_stops_at_a_look_only():
    assert next_grant(StopRule(), at(9, decided=True)).reason is StopReason.DECIDED
    assert next_grant(StopRule(), at(8, decided=True)) == Grant(round_count=1)
    assert next_grant(StopRule(), at(3, decided=True)) == Grant(round_count=3)


def test_narrow_intervals_stop():
    stop = next_grant(StopRule(), at(6, half_widths=(0.01, 0.019)))
    assert stop.reason is StopReason.PRECISE
    assert stop.because == "the widest interval is +-1.9 % after 6 rounds"
    assert isinstance(next_grant(StopRule(), at(6, half_widths=(0.01, 0.021))), Grant)
    assert isinstance(next_grant(StopRule(), at(6, half_widths=(0.01, None))), Grant)
    assert isinstance(next_grant(StopRule(), at(6, half_widths=())), Grant)


def test_the_most_rounds_stop_and_a_verdict_there_counts():
    assert next_grant(StopRule(), at(40)).reason is StopReason.MOST_ROUNDS
    assert next_grant(StopRule(), at(41)).reason is StopReason.MOST_ROUNDS
    assert next_grant(StopRule(), at(41, decided=True)).reason is StopReason.DECIDED


def test_the_budget_bounds_the_grants():
    rule = StopRule(budget_ns=100 * SECOND)
    assert next_grant(rule, at(0, round_time_ns=10 * SECOND)) == Grant(round_count=6)
    assert next_grant(rule, at(6, 80 * SECOND, round_time_ns=13 * SECOND)) == Grant(round_count=1)
    stop = next_grant(rule, at(7, 93 * SECOND, round_time_ns=13 * SECOND))
    assert stop == Stop(reason=StopReason.BUDGET, because="the budget of device time ended after 7 rounds")
    assert next_grant(rule, at(6, 100 * SECOND)).reason is StopReason.BUDGET
    assert next_grant(rule, at(6, 99 * SECOND)) == Grant(round_count=3)


def test_the_first_round_is_granted_whatever_it_takes():
    rule = StopRule(budget_ns=SECOND)
    assert next_grant(rule, at(0, round_time_ns=60 * SECOND)) == Grant(round_count=1)
    assert next_grant(rule, at(0, 2 * SECOND, round_time_ns=60 * SECOND)) == Grant(round_count=1)
    assert next_grant(rule, at(1, 60 * SECOND, round_time_ns=60 * SECOND)).reason is StopReason.BUDGET


@settings(deadline=None)
@given(
    st.integers(3, 12),
    st.integers(0, 40),
    st.integers(1, 100),
    st.integers(1, 2000),
    st.booleans(),
)
def test_measuring_always_ends_within_rounds_and_budget(least, more, round_time, budget, known):
    rule = StopRule(min_rounds=least, max_rounds=least + more, budget_ns=budget)
    rounds = 0
    while True:
        round_time_ns = round_time if known or rounds else None
        answer = next_grant(rule, at(rounds, rounds * round_time, round_time_ns=round_time_ns))
        if isinstance(answer, Stop):
            break
        assert answer.round_count >= 1
        rounds += answer.round_count
    assert 1 <= rounds <= rule.max_rounds
    assert rounds * round_time <= budget or rounds == 1 or (not known and rounds == least)


def test_looking_six_times_at_the_same_model_stays_silent():
    rule = StopRule()
    reference, candidate = round_medians(np.random.default_rng(10), 2000, rule.max_rounds)
    confidence = rule.look_confidence(0.99)
    alarms = 0
    for one, other in zip(reference, candidate, strict=True):
        verdicts = (compare_rounds(one[:n], other[:n], confidence=confidence).verdict for n in rule.looks)
        decided = next((verdict for verdict in verdicts if verdict is not ComparisonVerdict.UNDECIDED), None)
        alarms += decided in {ComparisonVerdict.FASTER, ComparisonVerdict.SLOWER}
    assert alarms <= 0.01 * 2000
