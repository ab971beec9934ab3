"""A night of one series: is there something to confirm, and what of it."""

from __future__ import annotations

import math

import numpy as np

from steelyard.series.early_warning import LEAST_PAST, LONGEST_PAST, Shift, shifts
from steelyard.series.history import History, normalised_logs
from steelyard.series.judgements import Candidate, NoCandidate, NoCandidateCode, Side
from steelyard.series.metric_rules import MetricKind, MetricRule
from steelyard.stats.formatting import format_value
from steelyard.stats.thresholds import percent

# What passes is confirmed or dropped by measuring again, never believed, so that this is a matter of device time: about
# one series in four passes, and confirming them takes some seven minutes a device and night of 40 series.
CANDIDATE_P = 0.20
# Of the minimum effect, what must be seen: noise makes half of the changes of just that size look smaller.
_SEEN_SHARE = 2.0 / 3.0
# Of the shift over a window, what tonight must show itself: a bad night that is over is no candidate.
_TONIGHTS_SHARE = 0.5


def judge_night(history: History, rule: MetricRule, *, night: int | None = None) -> Candidate | NoCandidate:
    """Judge the last night of a series against those since the last accepted change.

    Args:
        history: Up to and including the night.
        rule: Of the series' metric.
        night: Its number; the last one with a value when left out.
    """
    if history.last_night is None or (night is not None and history.last_night != night):
        return _none(history, NoCandidateCode.NOT_MEASURED, "it was not measured tonight")
    recent = history.recent()
    needed = LEAST_PAST if rule.kind is MetricKind.CONTINUOUS else 1
    if recent.count - 1 < needed:
        return _none(history, NoCandidateCode.NO_HISTORY, _no_history(history, recent, needed))
    if rule.kind is MetricKind.EXACT:
        return _judge_exact(recent, rule)
    if rule.kind is MetricKind.ACCURACY:
        return _judge_accuracy(recent, rule)
    return _judge_continuous(recent, rule)


def _no_history(history: History, recent: History, needed: int) -> str:
    since = "since the last accepted change" if history.accepted_index else "yet"
    count = max(0, recent.count - 1)
    return f"no history {since}: {count} night{'' if count == 1 else 's'} before this one, {needed} are needed"


def _judge_continuous(recent: History, rule: MetricRule) -> Candidate | NoCandidate:
    logs = normalised_logs(recent, rule)
    if not np.isfinite(logs[-1]):
        return _none(recent, NoCandidateCode.NOT_COMPARABLE, f"{recent.values[-1]!r} {rule.unit} has no ratio")
    known = np.isfinite(logs)
    found = shifts(logs[known])
    if not found:
        count = int(known.sum()) - 1
        reason = f"no history yet: {count} comparable nights before this one, {LEAST_PAST} are needed"
        return _none(recent, NoCandidateCode.NO_HISTORY, reason)
    tonight = float(logs[-1])
    passed = [(p, one, sign) for one in found for p, sign in _directions(one) if _passes(p, one, sign, tonight)]
    before = _middle(recent)
    large = [each for each in passed if _is_large(each[1], before, rule)]
    if not large:
        return _none(recent, NoCandidateCode.STEADY, _steady(found[0], rule, is_small=bool(passed)))
    p_value, shift, sign = min(large, key=lambda each: each[0])
    change = math.expm1(shift.size)
    return Candidate(
        key=recent.key,
        night=int(recent.nights[-1]),
        side=Side.WORSE if sign == rule.worse_sign else Side.BETTER,
        reason=_reason(change, shift, rule),
        before=before,
        after=float(recent.values[-1]),
        change=change,
        p_value=p_value,
        window=shift.window,
    )


def _directions(shift: Shift) -> tuple[tuple[float, int], tuple[float, int]]:
    return (shift.p_more, 1), (shift.p_less, -1)


def _passes(p_value: float, shift: Shift, sign: int, tonight: float) -> bool:
    shown = sign * (tonight - shift.centre)
    return p_value < CANDIDATE_P and shown >= _TONIGHTS_SHARE * sign * shift.size


def _middle(recent: History) -> float:
    """Return the median of the nights before, as measured."""
    return float(np.median(recent.values[:-1][-LONGEST_PAST:]))


def _is_large(shift: Shift, before: float, rule: MetricRule) -> bool:
    change = abs(math.expm1(shift.size)) / _SEEN_SHARE
    return change >= rule.minimum_effect and change * before >= rule.minimum_effect_abs


def _steady(shift: Shift, rule: MetricRule, *, is_small: bool) -> str:
    change = f"{100 * math.expm1(shift.size):+.1f} % against {shift.past_count} nights"
    if not is_small:
        return f"{change}, where nights differ by {percent(shift.deviation)}"
    floor = f" and {format_value(rule.minimum_effect_abs, rule.unit)}" if rule.minimum_effect_abs else ""
    return f"{change}, below the least that counts: {percent(rule.minimum_effect)}{floor}"


def _reason(change: float, shift: Shift, rule: MetricRule) -> str:
    nights = "tonight" if shift.window == 1 else f"over the last {shift.window} nights"
    return (
        f"{rule.metric} {abs(change):.1%} {'more' if change > 0 else 'less'} {nights} than in {shift.past_count} "
        f"nights before, which differ by {percent(shift.deviation)}"
    )


def _judge_accuracy(recent: History, rule: MetricRule) -> Candidate | NoCandidate:
    before, after = float(np.median(recent.values[:-1][:LONGEST_PAST])), float(recent.values[-1])
    change = after - before
    # Rounding must not decide on a change of just the minimum.
    if abs(change) < rule.minimum_effect_abs * (1.0 - 1e-9) or change == 0.0:
        reason = f"{format_value(after, rule.unit)} after {format_value(before, rule.unit)}"
        return _none(recent, NoCandidateCode.STEADY, reason)
    return Candidate(
        key=recent.key,
        night=int(recent.nights[-1]),
        side=_side(change, rule),
        reason=f"{rule.metric} {format_value(after, rule.unit)}, before {format_value(before, rule.unit)}",
        before=before,
        after=after,
        change=change,
    )


def _judge_exact(recent: History, rule: MetricRule) -> Candidate | NoCandidate:
    if recent.texts:
        return _judge_text(recent, rule)
    before, after = float(recent.values[0]), float(recent.values[-1])
    if before == after:
        return _none(recent, NoCandidateCode.STEADY, f"still {format_value(after, rule.unit)}")
    return Candidate(
        key=recent.key,
        night=int(recent.nights[-1]),
        side=_side(after - before, rule),
        reason=f"{rule.metric} {format_value(after, rule.unit)}, before {format_value(before, rule.unit)}",
        before=before,
        after=after,
        change=after / before - 1.0 if before else None,
    )


def _judge_text(recent: History, rule: MetricRule) -> Candidate | NoCandidate:
    before, after = recent.texts[0], recent.texts[-1]
    if before == after:
        return _none(recent, NoCandidateCode.STEADY, f"{rule.metric} is the same")
    return Candidate(
        key=recent.key,
        night=int(recent.nights[-1]),
        side=Side.CHANGED,
        reason=f"{rule.metric} is another one than in night {int(recent.nights[0])}",
        text_before=before,
        text_after=after,
    )


def _side(change: float, rule: MetricRule) -> Side:
    if rule.worse_sign == 0:
        return Side.CHANGED
    return Side.WORSE if change * rule.worse_sign > 0.0 else Side.BETTER


def _none(history: History, code: NoCandidateCode, reason: str) -> NoCandidate:
    return NoCandidate(key=history.key, code=code, reason=reason)
