"""What a confirmation shows: last good against current, interleaved on one device in one session."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from steelyard.series.judgements import Candidate, ConfirmationKind, ConfirmationOutcome, Side
from steelyard.series.metric_rules import MetricKind, MetricRule
from steelyard.stats.accuracy import paired_drop
from steelyard.stats.comparison import DEFAULT_CONFIDENCE, Comparison, ComparisonVerdict, compare_rounds
from steelyard.stats.formatting import format_value
from steelyard.stats.mcnemar import mcnemar
from steelyard.stats.thresholds import percent

_SIDES = {ConfirmationKind.CONFIRMED: Side.WORSE, ConfirmationKind.IMPROVED: Side.BETTER}


def judge_confirmation(
    reference_rounds: Sequence[float],
    candidate_rounds: Sequence[float],
    rule: MetricRule,
    *,
    confidence: float = DEFAULT_CONFIDENCE,
) -> ConfirmationOutcome:
    """Judge the rounds of the last good one (reference) and of the current one (candidate), paired by round.

    A change is confirmed where the interval excludes 1, the effect reaches the rule's minimum, and the ranks of the
    rounds do not contradict it. Of a night's candidate, ``as_the_night_looked`` follows.

    Args:
        reference_rounds: One figure per round, in the metric's unit.
        candidate_rounds: The same rounds, in the same order.
        rule: Of the metric, a continuous one.
        confidence: Of the interval that decides; with several looks, ``StopRule.look_confidence`` of it.

    Raises:
        ValueError: the rounds do not pair up, or the metric has no rounds.
    """
    if rule.kind is not MetricKind.CONTINUOUS:
        raise ValueError(f"{rule.metric} is not confirmed by rounds: it is compared over answers, or exactly")
    if any(not (math.isfinite(one) and one > 0.0) for one in (*reference_rounds, *candidate_rounds)):
        return ConfirmationOutcome(
            kind=ConfirmationKind.UNDECIDED,
            reason=f"undecided: a round's {rule.metric} is not above 0, so that there is no ratio",
            confidence=confidence,
            round_count=len(candidate_rounds),
        )
    compared = compare_rounds(reference_rounds, candidate_rounds, confidence=confidence, thresholds=rule.thresholds)
    kind = _kind(compared.verdict, rule)
    against = compared.contradiction if kind in _SIDES else ""
    if against:
        kind = ConfirmationKind.UNDECIDED
    ratio, low, high = _turned(compared)
    return ConfirmationOutcome(
        kind=kind,
        reason=f"undecided: {against}" if against else _reason(kind, compared, rule),
        ratio=ratio,
        low=low,
        high=high,
        confidence=compared.ratio.confidence,
        before=_middle(reference_rounds),
        after=_middle(candidate_rounds),
        round_count=compared.round_count,
        more_round_count=compared.more_round_count,
    )


def as_the_night_looked(outcome: ConfirmationOutcome, looked: Side) -> ConfirmationOutcome:
    """Return the outcome of a candidate's confirmation: undecided where it goes the other way than the night looked.

    Two measurements of one night that contradict each other confirm nothing.
    """
    shown = _SIDES.get(outcome.kind)
    if shown is None or looked in {shown, Side.CHANGED}:
        return outcome
    reason = f"undecided, the night looked {looked.value} and the confirmation {shown.value}: {outcome.reason}"
    return replace(outcome, kind=ConfirmationKind.UNDECIDED, reason=reason)


def judge_answers(
    reference_correct: NDArray[np.bool_], candidate_correct: NDArray[np.bool_], rule: MetricRule
) -> ConfirmationOutcome:
    """Judge the answers of the last good one and of the current one to the same samples, bool [samples].

    Worse where McNemar's p is below the rule's and the loss reaches the minimum, or where it reaches the hard limit
    whatever p says; better likewise, without a hard limit.

    Raises:
        ValueError: the samples do not pair up, or there is none.
    """
    drop = paired_drop(reference_correct, candidate_correct, DEFAULT_CONFIDENCE)
    test = mcnemar(reference_correct, candidate_correct)
    if drop.value is None or drop.low is None or drop.high is None:
        raise ValueError("accuracies are compared over one sample or more")
    loss = drop.value / 100.0
    kind, why = _accuracy_kind(loss, test.p_value, rule)
    return ConfirmationOutcome(
        kind=kind,
        reason=f"{why}: {-drop.value:+.2f} pp, {test.sentence}",
        ratio=-drop.value,
        low=-drop.high,
        high=-drop.low,
        confidence=drop.confidence,
        unit="pp",
        before=float(np.mean(reference_correct)),
        after=float(np.mean(candidate_correct)),
        round_count=0,
        p_value=test.p_value,
    )


def judge_scores(before: float, after: float, rule: MetricRule) -> ConfirmationOutcome:
    """Judge two scores of the same samples whose answers are not right or wrong, or were not kept.

    There is no test, so that only the hard limit decides.
    """
    loss = (after - before) * rule.worse_sign
    words = f"{format_value(before, rule.unit)} before, {format_value(after, rule.unit)} now"
    if rule.hard_limit is not None and _reaches(abs(loss), rule.hard_limit):
        kind = ConfirmationKind.CONFIRMED if loss > 0.0 else ConfirmationKind.IMPROVED
        reason = f"the change reaches the hard limit of {format_value(rule.hard_limit, rule.unit)}: {words}"
    elif _reaches(abs(loss), rule.minimum_effect_abs) and loss != 0.0:
        kind, reason = ConfirmationKind.UNDECIDED, f"undecided, no answers to test: {words}"
    else:
        kind = ConfirmationKind.NOT_REPRODUCED
        reason = f"less than {format_value(rule.minimum_effect_abs, rule.unit)} of change: {words}"
    is_share = rule.unit == "fraction"
    change = 100.0 * (after - before) if is_share else after - before
    unit = "pp" if is_share else rule.unit
    return ConfirmationOutcome(kind=kind, reason=reason, ratio=change, unit=unit, before=before, after=after)


def exact_outcome(candidate: Candidate) -> ConfirmationOutcome:
    """Return what an exact metric's candidate is: two values that differ need no second look.

    Raises:
        ValueError: the candidate has no two values.
    """
    has_texts = bool(candidate.text_before and candidate.text_after)
    if not has_texts and (candidate.before is None or candidate.after is None):
        raise ValueError(f"{candidate.key.words}: nothing to compare exactly")
    is_better = candidate.side is Side.BETTER
    return ConfirmationOutcome(
        kind=ConfirmationKind.IMPROVED if is_better else ConfirmationKind.CONFIRMED,
        reason=candidate.reason,
        ratio=None if candidate.change is None else 1.0 + candidate.change,
        before=candidate.before,
        after=candidate.after,
        text_before=candidate.text_before,
        text_after=candidate.text_after,
    )


def _kind(verdict: ComparisonVerdict, rule: MetricRule) -> ConfirmationKind:
    if verdict is ComparisonVerdict.UNDECIDED:
        return ConfirmationKind.UNDECIDED
    if verdict is ComparisonVerdict.NO_DIFFERENCE:
        return ConfirmationKind.NOT_REPRODUCED
    is_more = verdict is ComparisonVerdict.SLOWER
    return ConfirmationKind.CONFIRMED if is_more == (rule.worse_sign > 0) else ConfirmationKind.IMPROVED


def _turned(compared: Comparison) -> tuple[float | None, float | None, float | None]:
    """Return now over before; comparisons give before over now."""
    ratio = compared.ratio
    if ratio.value is None:
        return None, None, None
    if ratio.low is None or ratio.high is None:
        return 1.0 / ratio.value, None, None
    return 1.0 / ratio.value, 1.0 / ratio.high, 1.0 / ratio.low


def _middle(rounds: Sequence[float]) -> float | None:
    return math.exp(float(np.mean(np.log(np.asarray(rounds, dtype=np.float64))))) if len(rounds) else None


def _reason(kind: ConfirmationKind, compared: Comparison, rule: MetricRule) -> str:
    ratio, low, high = _turned(compared)
    if ratio is None or low is None or high is None:
        return compared.because
    figures = (
        f"{rule.metric} {100 * (ratio - 1):+.1f} % ({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} % at "
        f"{100 * compared.ratio.confidence:.4g} % over {compared.round_count} rounds)"
    )
    if kind is ConfirmationKind.NOT_REPRODUCED:
        return f"not reproduced, no difference as small as {percent(rule.thresholds.equivalence_margin)}: {figures}"
    if kind is not ConfirmationKind.UNDECIDED:
        return f"{'confirmed' if kind is ConfirmationKind.CONFIRMED else 'improved'}: {figures}"
    if compared.more_round_count is None:
        return f"undecided, and no practical number of rounds would settle it: {figures}"
    return f"undecided, about {compared.more_round_count} more rounds would probably settle it: {figures}"


def _accuracy_kind(loss: float, p_value: float, rule: MetricRule) -> tuple[ConfirmationKind, str]:
    is_large = _reaches(abs(loss), rule.minimum_effect_abs) and loss != 0.0
    if rule.hard_limit is not None and _reaches(loss, rule.hard_limit):
        return ConfirmationKind.CONFIRMED, f"confirmed, it reaches the hard limit of {100 * rule.hard_limit:g} pp"
    if is_large and p_value < rule.p_value:
        return (ConfirmationKind.CONFIRMED, "confirmed") if loss > 0.0 else (ConfirmationKind.IMPROVED, "improved")
    if is_large:
        return ConfirmationKind.UNDECIDED, f"undecided, p is not below {rule.p_value:g}"
    return ConfirmationKind.NOT_REPRODUCED, f"less than {100 * rule.minimum_effect_abs:g} pp of change"


def _reaches(value: float, limit: float) -> bool:
    """Whether a loss is the limit or more; rounding must not decide."""
    return value >= limit * (1.0 - 1e-9)
