"""Confirmations confirm what is there, in the right direction, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.series.confirming import (
    as_the_night_looked,
    exact_outcome,
    judge_answers,
    judge_confirmation,
    judge_scores,
)
from steelyard.series.history import history_of
from steelyard.series.judgements import Candidate, ConfirmationKind, Side
from steelyard.series.judging import judge_night
from steelyard.series.metric_rules import rule_for
from tests.controller.series.planted_series import key

P50, ACCURACY = rule_for("p50"), rule_for("accuracy")


def rounds(ratio: float, *, count: int = 14, seed: int = 0, noise: float = 0.008) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(seed)
    level = 2e7 * np.exp(random.normal(0.0, 0.05, count))
    sides = [level * np.exp(random.normal(0.0, noise, count)) for _ in range(2)]
    return sides[0].tolist(), (sides[1] * ratio).tolist()


@pytest.mark.parametrize(
    ("ratio", "kind"),
    [
        (1.05, ConfirmationKind.CONFIRMED),
        (0.95, ConfirmationKind.IMPROVED),
        (1.0, ConfirmationKind.NOT_REPRODUCED),
    ],
)
def test_the_outcome_is_what_the_rounds_show(ratio: float, kind: ConfirmationKind) -> None:
    outcome = judge_confirmation(*rounds(ratio), P50)
    assert outcome.kind is kind
    assert outcome.ratio is not None
    assert outcome.low is not None
    assert outcome.high is not None
    assert outcome.low < ratio < outcome.high
    assert outcome.low < outcome.ratio < outcome.high
    assert (outcome.round_count, outcome.unit) == (14, "ratio")
    assert outcome.before is not None
    assert outcome.after == pytest.approx(outcome.before * outcome.ratio)


def test_more_of_a_rate_is_an_improvement() -> None:
    assert judge_confirmation(*rounds(1.05), rule_for("throughput")).kind is ConfirmationKind.IMPROVED


def test_too_few_or_too_noisy_rounds_decide_nothing() -> None:
    few = judge_confirmation(*rounds(1.05, count=2), P50)
    assert (few.kind, few.more_round_count) == (ConfirmationKind.UNDECIDED, 1)
    noisy = judge_confirmation(*rounds(1.05, noise=0.1), P50)
    assert noisy.kind is ConfirmationKind.UNDECIDED
    assert noisy.more_round_count is not None
    assert f"about {noisy.more_round_count} more rounds" in noisy.reason


def test_a_sure_change_below_two_percent_is_not_confirmed() -> None:
    assert judge_confirmation(*rounds(1.012, noise=0.001), P50).kind is ConfirmationKind.NOT_REPRODUCED


def test_rounds_without_a_difference_are_hardly_ever_confirmed() -> None:
    kinds = [judge_confirmation(*rounds(1.0, seed=seed, noise=0.02), P50).kind for seed in range(200)]
    assert sum(kind in {ConfirmationKind.CONFIRMED, ConfirmationKind.IMPROVED} for kind in kinds) <= 5


def test_a_confirmation_that_contradicts_the_night_is_undecided() -> None:
    better, worse = (judge_confirmation(*rounds(ratio), P50) for ratio in (0.95, 1.05))
    outcome = as_the_night_looked(better, Side.WORSE)
    assert outcome.kind is ConfirmationKind.UNDECIDED
    assert "the night looked worse and the confirmation better" in outcome.reason
    assert outcome.ratio == better.ratio
    assert as_the_night_looked(worse, Side.WORSE) == worse
    assert as_the_night_looked(better, Side.BETTER) == better
    same = judge_confirmation(*rounds(1.0), P50)
    assert as_the_night_looked(same, Side.WORSE) == same


def test_what_has_no_ratio_is_undecided_and_what_has_no_rounds_is_refused() -> None:
    assert (
        judge_confirmation([1.0, 2.0, 0.0], [1.0, 1.0, 1.0], rule_for("net_energy")).kind is ConfirmationKind.UNDECIDED
    )
    with pytest.raises(ValueError, match="not confirmed by rounds"):
        judge_confirmation([0.9] * 5, [0.8] * 5, ACCURACY)


def answers(total: int, lost: int, gained: int) -> tuple[np.ndarray, np.ndarray]:
    reference = np.ones(total, dtype=np.bool_)
    candidate = reference.copy()
    candidate[:lost] = False
    reference[lost : lost + gained] = False
    return reference, candidate


@pytest.mark.parametrize(
    ("lost", "gained", "kind"),
    [
        # 0.3 points, 33 against 3: sure.
        (33, 3, ConfirmationKind.CONFIRMED),
        (3, 33, ConfirmationKind.IMPROVED),
        # 0.2 points, but 60 against 40 may be chance.
        (60, 40, ConfirmationKind.UNDECIDED),
        # Sure, and too small to matter.
        (9, 0, ConfirmationKind.NOT_REPRODUCED),
        (0, 0, ConfirmationKind.NOT_REPRODUCED),
        # 0.5 points fail whatever p says.
        (550, 500, ConfirmationKind.CONFIRMED),
        (500, 550, ConfirmationKind.UNDECIDED),
    ],
)
def test_accuracies_need_mcnemar_and_a_tenth_of_a_point_or_half_a_point(
    lost: int, gained: int, kind: ConfirmationKind
) -> None:
    outcome = judge_answers(*answers(10_000, lost, gained), ACCURACY)
    assert outcome.kind is kind
    assert outcome.unit == "pp"
    assert outcome.ratio == pytest.approx((gained - lost) / 100.0)
    assert f"{lost} answer" in outcome.reason


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (0.915, ConfirmationKind.CONFIRMED),
        (0.918, ConfirmationKind.UNDECIDED),
        (0.9195, ConfirmationKind.NOT_REPRODUCED),
        (0.925, ConfirmationKind.IMPROVED),
    ],
)
def test_scores_without_answers_have_only_the_hard_limit(after: float, kind: ConfirmationKind) -> None:
    outcome = judge_scores(0.92, after, ACCURACY)
    assert (outcome.kind, outcome.unit) == (kind, "pp")
    assert outcome.ratio == pytest.approx(100.0 * (after - 0.92))


def test_two_exact_values_that_differ_need_no_second_look() -> None:
    larger = judge_night(history_of(key("size"), [1, 2], [100.0, 110.0]), rule_for("size"))
    assert isinstance(larger, Candidate)
    outcome = exact_outcome(larger)
    assert (outcome.kind, outcome.ratio) == (ConfirmationKind.CONFIRMED, pytest.approx(1.1))
    moved = judge_night(history_of(key("output_hash"), [1, 2], [None, None], texts=["a", "b"]), rule_for("output_hash"))
    assert isinstance(moved, Candidate)
    assert (exact_outcome(moved).kind, exact_outcome(moved).text_after) == (ConfirmationKind.CONFIRMED, "b")
    with pytest.raises(ValueError, match="nothing to compare exactly"):
        exact_outcome(Candidate(key=key("size"), night=1, side=Side.WORSE, reason="nothing"))
