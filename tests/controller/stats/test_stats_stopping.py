import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.stats.stopping import Grant, Look, Progress, Stop, StopReason, StopRule, is_last_look, planned_looks
from steelyard.stats.stopping import next_grant as next_grant_at

SECOND = 10**9


def at(round_count, device_time_ns=0, round_time_ns=None, **look):
    """How far a measurement is, and what is known there."""
    progress = Progress(round_count=round_count, device_time_ns=device_time_ns, round_time_ns=round_time_ns)
    return progress, Look(**look)


def next_grant(rule, where):
    return next_grant_at(rule, *where)


def test_the_looks_grow_by_about_half():
    assert StopRule().looks == (6, 10, 14, 20, 28, 40)
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
        {"earlier_rounds": 6},
        {"extension": 1},
        {"earlier_rounds": 40, "extension": 1},
        {"earlier_rounds": 36, "extension": 1},
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(fields):
    with pytest.raises(ValueError):
        StopRule(**fields)


@pytest.mark.parametrize("end", [6, 7, 12, 14, 33, 40])
def test_the_looks_spend_the_error_of_one_measurement_wherever_it_ends(end):
    rule = StopRule()
    taken = [look for look in rule.looks if look < end]
    spent = [1.0 - rule.look_confidence(0.99, look, is_last=False) for look in taken]
    spent.append(1.0 - rule.look_confidence(0.99, end, is_last=True))
    assert sum(spent) == pytest.approx(0.8 * 0.01)
    assert all(one > 0.0 for one in spent)


def test_an_early_look_spends_little_and_the_last_one_most():
    rule = StopRule()
    early, last = (rule.look_confidence(0.99, look, is_last=look == 40) for look in (6, 40))
    assert 1.0 - early < 0.06 * 0.01
    assert 1.0 - last > 0.4 * 0.01


def test_extensions_spend_what_is_left_however_many_there_are():
    first = StopRule(max_rounds=12)
    chain = [first, *(StopRule(earlier_rounds=12 * n, max_rounds=12 * n + 12, extension=n) for n in range(1, 20))]
    spent = 0.0
    for rule in chain:
        spent += sum(1.0 - rule.look_confidence(0.99, look, is_last=look == rule.looks[-1]) for look in rule.looks)
    assert 0.0099 < spent < 0.01


def test_looks_of_an_extension_begin_after_the_earlier_rounds():
    rule = StopRule(earlier_rounds=40, max_rounds=80, extension=1)
    assert rule.looks == (46, 50, 54, 60, 68, 80)
    assert next_grant(rule, at(40, decided=True)) == Grant(round_count=6)
    assert next_grant(StopRule(earlier_rounds=40, max_rounds=41, min_rounds=1, extension=1), at(40)) == Grant(
        round_count=1
    )


@settings(deadline=None)
@given(st.integers(3, 50), st.integers(0, 300))
def test_looks_between_the_ends_are_even_so_that_both_orders_come_as_often(least, more):
    assert all(look % 2 == 0 for look in planned_looks(least, least + more)[1:-1])


def test_rounds_are_granted_up_to_the_next_look():
    rule = StopRule()
    assert next_grant(rule, at(0)) == Grant(round_count=6)
    assert next_grant(rule, at(6)) == Grant(round_count=4)
    assert next_grant(rule, at(7)) == Grant(round_count=3)
    assert next_grant(rule, at(28)) == Grant(round_count=12)


def test_a_verdict_stops_at_a_look_only():
    assert next_grant(StopRule(), at(10, decided=True)).reason is StopReason.DECIDED
    assert next_grant(StopRule(), at(8, decided=True)) == Grant(round_count=2)
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
    assert next_grant(rule, at(6, 99 * SECOND)) == Grant(round_count=4)


def test_a_verdict_at_the_end_of_the_budget_counts_though_no_look_was_planned_there():
    rule = StopRule(budget_ns=100 * SECOND)
    where = at(7, 93 * SECOND, round_time_ns=13 * SECOND, decided=True)
    assert is_last_look(rule, where[0])
    assert next_grant(rule, where).reason is StopReason.DECIDED
    assert not is_last_look(rule, at(7, 80 * SECOND, round_time_ns=13 * SECOND)[0])


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
