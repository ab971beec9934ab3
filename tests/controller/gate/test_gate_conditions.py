from __future__ import annotations

import pytest

from steelyard.errors import UsageError
from steelyard.gate.conditions import parse_condition, parse_conditions


def test_a_share_is_the_least_effect_of_the_rule() -> None:
    condition = parse_condition(" p50 > +3% ")

    assert condition.text == "p50 > +3%"
    assert condition.metric == "p50"
    assert condition.rule.thresholds.minimum_effect == pytest.approx(0.03)
    assert condition.rule.thresholds.equivalence_margin >= 0.03


def test_a_small_share_is_not_widened_to_the_default() -> None:
    assert parse_condition("p50>1%").rule.thresholds.minimum_effect == pytest.approx(0.01)


def test_a_loss_of_accuracy_is_in_points_and_has_no_hard_limit() -> None:
    rule = parse_condition("accuracy < -0.5pp").rule

    assert rule.minimum_effect_abs == pytest.approx(0.005)
    assert rule.hard_limit is None


def test_an_exact_metric_may_grow_by_a_share() -> None:
    assert parse_condition("size > +2%").most_share == pytest.approx(0.02)
    assert parse_condition("size > 0%").most_share == 0.0


def test_less_of_a_rate_is_worse() -> None:
    assert parse_condition("throughput < -5%").rule.thresholds.minimum_effect == pytest.approx(0.05)


def test_the_peak_of_memory_goes_by_both_names() -> None:
    assert parse_condition("peak_rss > 2%").metric == "memory"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p50", "is no condition"),
        ("p50 > 3% and more", "is no condition"),
        ("p50 >= 3%", "is no condition"),
        ("p50 < +3%", "write > with"),
        ("p50 > -3%", "write > with"),
        ("p50 < -3%", "the other way; use >"),
        ("accuracy > +1pp", "the other way; use <"),
        ("p50 > 3ms", "are in %"),
        ("accuracy < -1%", "are in pp"),
        ("accuracy < -0pp", "between 0 and 100 pp"),
        ("p50 > 0%", "between 0 and 100 %"),
        ("p50 > 100%", "between 0 and 100 %"),
        ("output_hash > 3%", "'output_hash changed'"),
        ("p50 changed", "has noise"),
        ("p5O > 3%", "p50"),
        ("", "is no condition"),
    ],
)
def test_what_is_no_condition_says_how_to_write_one(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_condition(text)

    assert says in str(refused.value)


def test_one_metric_has_one_condition() -> None:
    with pytest.raises(UsageError, match="p50 is in two conditions"):
        parse_conditions(["p50 > 3%", "latency > 5%"])
