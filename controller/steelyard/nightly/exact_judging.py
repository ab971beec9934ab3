"""Metrics without noise (size, multiply-accumulates, placement, output hash): equal or not."""

from __future__ import annotations

from steelyard.nightly.cell_values import CellValue
from steelyard.series.judgements import ConfirmationKind, ConfirmationOutcome
from steelyard.series.metric_rules import Direction, MetricRule
from steelyard.stats.formatting import format_value


def judge_exact(before: CellValue, after: CellValue, rule: MetricRule) -> ConfirmationOutcome:
    """Compare two values of an exact metric; whatever differs is a change, and for the worse unless it is less."""
    if before.text or after.text:
        is_same, is_better, ratio = before.text == after.text, False, None
    else:
        is_same, ratio = before.value == after.value, _ratio(before.value, after.value)
        is_better = ratio is not None and rule.direction is not Direction.SAME and (ratio - 1.0) * rule.worse_sign < 0.0
    changed = ConfirmationKind.IMPROVED if is_better else ConfirmationKind.CONFIRMED
    words = f"{_shown(before)} before, {_shown(after)} now"
    return ConfirmationOutcome(
        kind=ConfirmationKind.NOT_REPRODUCED if is_same else changed,
        reason=f"{rule.metric} is the same: {_shown(after)}" if is_same else f"{rule.metric} changed: {words}",
        ratio=ratio,
        before=before.value,
        after=after.value,
        text_before=before.text,
        text_after=after.text,
    )


def _ratio(before: float | None, after: float | None) -> float | None:
    return after / before if before and after is not None else None


def _shown(one: CellValue) -> str:
    if one.text:
        return one.text[:80]
    return "none" if one.value is None else format_value(one.value, one.unit)
