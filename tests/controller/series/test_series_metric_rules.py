"""Every metric of a night has a rule that can be held against, and unknown ones are refused with the nearest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard.errors import UsageError
from steelyard.series.metric_rules import METRIC_RULES, Direction, MetricKind, rule_for
from steelyard.stats.requirements import METRICS


def test_the_rules_start_from_the_documented_least_effects() -> None:
    assert (rule_for("p50").minimum_effect, rule_for("p50").minimum_effect_abs) == (0.03, 50_000.0)
    assert rule_for("p95").minimum_effect == 0.08
    assert (rule_for("memory").minimum_effect, rule_for("memory").minimum_effect_abs) == (0.02, 2**20)
    assert (rule_for("energy").minimum_effect, rule_for("load").minimum_effect) == (0.05, 0.10)
    accuracy = rule_for("accuracy")
    assert (accuracy.minimum_effect_abs, accuracy.hard_limit, accuracy.p_value) == (0.001, 0.005, 0.01)


def test_metrics_that_can_be_required_have_the_same_unit_here() -> None:
    shared = METRICS.keys() & METRIC_RULES.keys()
    assert {"p50", "p95", "memory", "energy", "load", "accuracy", "size"} <= shared
    assert {name: METRIC_RULES[name].unit for name in shared} == {name: METRICS[name].unit for name in shared}


def test_an_unknown_metric_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'memory'") as caught:
        rule_for("memori")
    assert caught.value.reason == "unknown_metric"


def test_what_a_confirmation_confirms_is_never_more_than_what_the_rule_calls_a_change() -> None:
    assert rule_for("p50").thresholds.minimum_effect == 0.02
    assert replace(rule_for("p50"), minimum_effect=0.01).thresholds.minimum_effect == 0.01
    # "No difference" rules out what is called a change, not more.
    assert rule_for("p95").thresholds.equivalence_margin == 0.08


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": ""},
        {"minimum_effect": 1.0},
        {"minimum_effect_abs": -1.0},
        {"confirm_effect": 0.0},
        {"p_value": 1.0},
        {"direction": Direction.SAME},
        {"hard_limit": 1.0},
    ],
)
def test_a_rule_that_no_night_could_be_held_against_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"p50|a rule has"):
        replace(rule_for("p50"), **changes)  # type: ignore[arg-type]


def test_only_exact_metrics_have_no_better_direction() -> None:
    without = {rule.metric for rule in METRIC_RULES.values() if rule.worse_sign == 0}
    assert without == {"placement", "output_hash"}
    assert all(METRIC_RULES[metric].kind is MetricKind.EXACT for metric in without)
