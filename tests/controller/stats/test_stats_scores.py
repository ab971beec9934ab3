"""Scores of any metric in requirements and in the choice of what to ship: their own name, unit and direction."""

from __future__ import annotations

import pytest

from steelyard.errors import UsageError
from steelyard.stats.estimate import Estimate, exact, negated, unknown
from steelyard.stats.formatting import format_estimate
from steelyard.stats.pareto import Point, pareto_front
from steelyard.stats.requirements import RequirementVerdict, decide, parse_requirement, required_name
from steelyard.stats.shipping import DecisionKind, choose
from steelyard.stats.task_metric import TaskMetric
from steelyard.stats.tolerance import Tolerance, default_tolerance, percentage_points
from tests.controller.stats.test_stats_shipping import original, variant

TOP1, TOP5 = TaskMetric(), TaskMetric(kind="top5", label="top-5 accuracy")
RMSE = TaskMetric(kind="rmse", label="root mean square error", unit="number", higher_is_better=False)
SQNR = TaskMetric(kind="sqnr", label="signal to quantization noise ratio", unit="dB")
EDITS = TaskMetric(kind="edit-distance", label="error rate of text", higher_is_better=False)


def estimate(low: float, value: float, high: float, unit: str) -> Estimate:
    return Estimate(value=value, low=low, high=high, confidence=0.95, unit=unit, observation_count=500)


@pytest.mark.parametrize(
    ("text", "score", "threshold", "unit"),
    [
        ("sqnr>30dB", SQNR, 30.0, "dB"),
        ("sqnr >= 30", SQNR, 30.0, "dB"),
        ("sqnr>-5dB", SQNR, -5.0, "dB"),
        ("rmse<0.2", RMSE, 0.2, "number"),
        ("drop<0.5dB", SQNR, 0.5, "dB"),
        ("drop<0.01", RMSE, 0.01, "number"),
        ("drop<-0.5pp", TOP1, -0.5, "pp"),
        ("drop<1pp", EDITS, 1.0, "pp"),
        ("edit-distance<5%", EDITS, 0.05, "fraction"),
        ("top1>0.9", TOP1, 0.9, "fraction"),
        ("accuracy>90%", TOP5, 0.9, "fraction"),
        ("p90<20ms", RMSE, 20e6, "ns"),
    ],
)
def test_a_score_is_required_by_its_own_name_and_unit(
    text: str, score: TaskMetric, threshold: float, unit: str
) -> None:
    requirement = parse_requirement(text, score)
    assert requirement.threshold == pytest.approx(threshold)
    assert requirement.unit == unit
    assert requirement.is_on_score == (unit != "ns")
    assert required_name(text) == requirement.metric


@pytest.mark.parametrize(
    ("text", "score", "named"),
    [
        ("rmse<0.2dB", RMSE, "rmse has no unit here"),
        ("drop<1pp", SQNR, "'pp' is no unit of drop; known are dB"),
        ("drop<1", SQNR, "drop needs a unit: dB"),
        ("accuracy>0.9", RMSE, "unknown metric 'accuracy'"),
        ("sqnr>30dB", RMSE, "unknown metric 'sqnr'"),
        ("edit-distance<7", EDITS, "edit-distance is at most 1"),
        ("rmse", None, "METRIC OP VALUE"),
    ],
)
def test_what_a_task_does_not_measure_is_refused_with_what_it_does(
    text: str, score: TaskMetric | None, named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        parse_requirement(text, score)


def test_a_requirement_on_a_score_is_held_against_its_interval() -> None:
    requirement = parse_requirement("rmse<0.2", RMSE)
    good, bad, open_ = (estimate(value - 0.02, value, value + 0.02, "number") for value in (0.1, 0.3, 0.2))
    verdicts = [decide(requirement, one).verdict for one in (good, bad, open_)]
    assert verdicts == [RequirementVerdict.MEETS, RequirementVerdict.FAILS, RequirementVerdict.UNDECIDED]
    assert decide(requirement, good).because == "rmse is 0.100 (0.080 to 0.120)"


def test_a_metric_is_called_what_people_call_it() -> None:
    assert [one.name for one in (TOP1, TOP5, RMSE, EDITS)] == ["accuracy", "top-5 accuracy", "rmse", "edit-distance"]
    assert [one.drop_unit for one in (TOP1, RMSE, SQNR)] == ["pp", "number", "dB"]
    assert SQNR.example == "sqnr>VALUEdB"
    assert RMSE.example == "rmse<VALUE"
    with pytest.raises(ValueError, match="a kind, a label and a unit"):
        TaskMetric(kind="rmse", label="", unit="")


def test_values_without_a_unit_are_mere_numbers() -> None:
    assert format_estimate(estimate(0.1234, 0.1334, 0.1434, "number")) == "0.133 (0.123 to 0.143)"
    assert format_estimate(exact(1234.0, "number")) == "1234"


def test_what_may_be_lost_unasked_is_1_pp_of_a_fraction_and_1_percent_of_other_scores() -> None:
    assert default_tolerance(TOP1, unknown("fraction", "x")) == percentage_points(1.0)
    assert default_tolerance(RMSE, exact(0.5, "number")) == Tolerance(
        limit=0.005, words="0.00500 (1 % of the original's)"
    )
    for score, reference in ((SQNR, exact(200.0, "dB")), (RMSE, unknown("number", "x")), (RMSE, exact(0.0, "number"))):
        nothing = default_tolerance(score, reference)
        assert nothing.limit is None
        assert score.example in nothing.reason


def test_a_tolerance_is_a_bound_or_says_why_there_is_none() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Tolerance(limit=0.0, words="0 pp")
    with pytest.raises(ValueError, match="says why"):
        Tolerance(limit=None, words="")


def lossy(low: float, value: float, high: float, unit: str = "number"):
    return variant("static-int8", 2.1, None, accuracy_drop=estimate(low, value, high, unit), score_name=RMSE.name)


def test_the_choice_names_the_metric_and_its_bound() -> None:
    tolerance = Tolerance(limit=0.01, words="0.01")
    shipped = choose([original(), lossy(0.001, 0.002, 0.003)], tolerance=tolerance)
    assert shipped.kind is DecisionKind.SHIP
    assert "with no rmse loss beyond 0.01 (drop 0.00200, 0.00100 to 0.00300)" in shipped.sentence
    kept = choose([original(), lossy(0.02, 0.03, 0.04)], tolerance=tolerance)
    assert kept.kind is DecisionKind.KEEP_ORIGINAL
    assert "within 0.01 of its rmse" in kept.sentence
    undecided = choose([original(), lossy(0.005, 0.009, 0.013)], tolerance=tolerance)
    assert undecided.kind is DecisionKind.UNDECIDED
    assert "its rmse drop may pass 0.01" in undecided.sentence


def test_where_nobody_said_what_is_enough_the_choice_asks_for_it() -> None:
    tolerance = default_tolerance(SQNR, exact(200.0, "dB"))
    choice = choose([original(), lossy(160.0, 166.0, 170.0, "dB")], tolerance=tolerance)
    assert choice.kind is DecisionKind.INCOMPLETE
    assert choice.sentence.endswith("nothing says which sqnr is enough: require it (--require 'sqnr>VALUEdB').")


def test_a_drop_without_an_interval_is_not_called_unmeasured() -> None:
    few = Estimate(
        value=0.1, low=None, high=None, confidence=0.95, unit="number", observation_count=5, reason="too few"
    )
    choice = choose([original(), variant("static-int8", 2.1, None, accuracy_drop=few, score_name="rmse")])
    assert choice.sentence.endswith("its rmse drop has no interval: too few.")


def test_an_original_that_others_are_scored_against_does_not_meet_its_own_requirement() -> None:
    requirement = parse_requirement("sqnr>30dB", SQNR)
    first = original(is_truth=True, outcomes=(decide(requirement, exact(200.0, "dB")),))
    noisy = variant("static-int8", 2.1, outcomes=(decide(requirement, estimate(20.0, 21.0, 22.0, "dB")),))
    choice = choose([first, noisy], device="pi5")
    assert choice.kind is DecisionKind.UNMET
    assert "sqnr is 21.0 dB (20.0 to 22.0), wanted sqnr>30dB" in choice.sentence


def test_a_score_of_which_less_is_better_is_turned_once_for_the_front() -> None:
    errors = {"fast": estimate(0.30, 0.31, 0.32, "number"), "good": estimate(0.10, 0.11, 0.12, "number")}
    times = {"fast": 1e6, "good": 2e6, "bad": 3e6}
    errors["bad"] = estimate(0.40, 0.41, 0.42, "number")
    points = [
        Point(label=label, latency=exact(times[label], "ns"), accuracy=negated(one)) for label, one in errors.items()
    ]
    assert pareto_front(points) == ("fast", "good")


def test_turning_an_estimate_round_swaps_its_ends() -> None:
    turned = negated(estimate(1.0, 2.0, 4.0, "number"))
    assert (turned.low, turned.value, turned.high) == (-4.0, -2.0, -1.0)
    nothing = unknown("number", "x")
    assert negated(nothing) == nothing
