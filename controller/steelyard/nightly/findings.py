"""From candidates and their confirmations to the findings of a night, before triage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from steelyard.attribution.differences import differences
from steelyard.nightly.device_judgement import DeviceJudgement, JudgedCandidate
from steelyard.nightly.night_findings import (
    EnvironmentDifference,
    Finding,
    Outcome,
    Ratio,
    SeriesName,
    Sparkline,
)
from steelyard.nightly.notes import ConfirmationNote, Factor, confirmation_key
from steelyard.series.confirming import exact_outcome
from steelyard.series.judgements import ConfirmationKind, ConfirmationOutcome, Side
from steelyard.series.metric_rules import MetricKind, MetricRule
from steelyard.suites.cells import Cell
from steelyard.triage.alert import Alert

_SHOWN_NIGHTS = 30
_OUTCOMES = {
    ConfirmationKind.CONFIRMED: Outcome.CONFIRMED,
    ConfirmationKind.NOT_REPRODUCED: Outcome.NOT_REPRODUCED,
    ConfirmationKind.UNDECIDED: Outcome.UNDECIDED,
    ConfirmationKind.IMPROVED: Outcome.IMPROVED,
}
# The most telling first: what of several confirmations of one metric counts.
_TELLING = (
    ConfirmationKind.CONFIRMED,
    ConfirmationKind.IMPROVED,
    ConfirmationKind.UNDECIDED,
    ConfirmationKind.NOT_REPRODUCED,
)


def findings_of(
    judgement: DeviceJudgement,
    rules: Mapping[str, MetricRule],
    confirmations: Mapping[str, ConfirmationNote],
    environments: Mapping[int, Mapping[str, str]],
    *,
    night: int,
    when: Callable[[int], str],
    device: str,
) -> list[Finding]:
    """Return what one device's night says of each series that is not steady.

    Args:
        judgement: Of the device's night.
        rules: Of the metrics.
        confirmations: The night's notes by their keys.
        environments: By id, of all the candidates' nights.
        night: Its number.
        when: The time at which a night began, by its number; "" where it is not known.
        device: Its name.
    """
    found = []
    for one in judgement.candidates:
        rule = rules[one.candidate.key.metric]
        before = environments.get(one.facts.environment_of(one.last_good_night), {})
        now = environments.get(one.facts.environment_of(night), {})
        if one.is_old_news or _follows_from_another_model(one, before, now):
            continue
        finding = _finding(one, rule, environment_differences(before, now), night=night, when=when, device=device)
        found.append(_with_outcome(finding, one, rule, judgement, confirmations))
    return found


def environment_differences(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[EnvironmentDifference, ...]:
    """Return what differs between two environments; nothing where one of them is not known at all."""
    if not before or not now:
        return ()
    return differences(before, now)


def _follows_from_another_model(one: JudgedCandidate, before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Say whether outputs differ only because they are another model's, which is no news of the device."""
    return one.candidate.key.metric == "output_hash" and before.get("artifact") != now.get("artifact")


def _finding(
    one: JudgedCandidate,
    rule: MetricRule,
    changed: tuple[EnvironmentDifference, ...],
    *,
    night: int,
    when: Callable[[int], str],
    device: str,
) -> Finding:
    candidate, key = one.candidate, one.candidate.key
    return Finding(
        series=SeriesName(
            model=key.model,
            device_id=key.device_id,
            device=device,
            runtime=key.runtime,
            metric=key.metric,
        ),
        outcome=Outcome.SUSPECTED,
        unit=rule.unit,
        before=candidate.before,
        after=candidate.after,
        reason=candidate.reason,
        text_before=candidate.text_before,
        text_after=candidate.text_after,
        first_bad_night=one.first_bad_night,
        first_bad_at=when(one.first_bad_night),
        sparkline=_sparkline(one, night),
        environment=changed,
        alert_id=one.alert.alert_id if one.alert is not None else "",
        p_value=candidate.p_value,
    )


def _sparkline(one: JudgedCandidate, night: int) -> Sparkline | None:
    history = one.facts.history
    if history.texts:
        return None
    values = dict(zip(history.nights.tolist(), history.values.tolist(), strict=True))
    numbers = tuple(range(max(min(values), night - _SHOWN_NIGHTS + 1), night + 1))
    change = one.first_bad_night - numbers[0]
    return Sparkline(
        night_numbers=numbers,
        values=tuple(values.get(number) for number in numbers),
        change_index=change if 0 <= change < len(numbers) else None,
    )


def _with_outcome(
    finding: Finding,
    one: JudgedCandidate,
    rule: MetricRule,
    judgement: DeviceJudgement,
    confirmations: Mapping[str, ConfirmationNote],
) -> Finding:
    if judgement.verdict.holds_back:
        reason = f"{finding.reason}; held back because of the device: {judgement.verdict.reason}"
        return replace(finding, outcome=Outcome.DEVICE, reason=reason)
    if rule.kind is MetricKind.EXACT:
        return told(finding, exact_outcome(one.candidate))
    if one.is_standing:
        return _standing(finding, one)
    return _confirmed(finding, one, rule, _notes_of(one, confirmations))


def _standing(finding: Finding, one: JudgedCandidate) -> Finding:
    """Return a finding that an earlier night confirmed, with how that can be seen again."""
    evidence = one.alert.evidence if one.alert is not None else None
    return replace(
        finding,
        reason=f"{finding.reason}; an earlier night confirmed it",
        reproduce=evidence.reproduce if evidence is not None else "",
        limits=evidence.limits if evidence is not None else "",
    )


def _confirmed(finding: Finding, one: JudgedCandidate, rule: MetricRule, notes: Sequence[ConfirmationNote]) -> Finding:
    """Return a candidate's finding with what the most telling of its confirmations says."""
    decided = [(note, outcome) for note in notes for metric, outcome in note.outcomes if metric == rule.metric]
    decided.sort(key=lambda pair: _TELLING.index(pair[1].kind))
    if not decided:
        return _unconfirmed(finding, one, notes, rule.metric)
    note, outcome = decided[0]
    made = replace(told(finding, outcome), job_id=note.job_id, reproduce=note.reproduce, limits=note.limits)
    if outcome.kind is ConfirmationKind.UNDECIDED and one.candidate.side is Side.BETTER:
        # Nothing that anybody must look after: it opens no alert.
        return replace(made, outcome=Outcome.IMPROVED, reason=f"{finding.reason}; not confirmed: {outcome.reason}")
    if outcome.kind is ConfirmationKind.NOT_REPRODUCED and _is_elsewhere(one, rule, note, outcome):
        words = "model" if note.factor is Factor.MODEL else "runtime"
        reason = f"the {words} is not it ({outcome.reason}), but it is still unlike the nights before"
        return replace(made, outcome=Outcome.SUSPECTED, reason=reason)
    return made


def told(finding: Finding, outcome: ConfirmationOutcome) -> Finding:
    """Return a finding with what a confirmation says of it."""
    ratio = None
    if outcome.ratio is not None:
        ratio = Ratio(
            value=outcome.ratio, low=outcome.low, high=outcome.high, confidence=outcome.confidence, unit=outcome.unit
        )
    return replace(
        finding,
        outcome=_OUTCOMES[outcome.kind],
        before=outcome.before if outcome.before is not None else finding.before,
        after=outcome.after if outcome.after is not None else finding.after,
        reason=outcome.reason,
        ratio=ratio,
        round_count=outcome.round_count,
    )


def _notes_of(one: JudgedCandidate, confirmations: Mapping[str, ConfirmationNote]) -> Sequence[ConfirmationNote]:
    key = one.candidate.key
    cell = Cell(model=key.model, device_id=key.device_id, runtime=key.runtime)
    keys = (confirmation_key(cell, factor) for factor in Factor)
    return [confirmations[name] for name in keys if name in confirmations]


def _unconfirmed(finding: Finding, one: JudgedCandidate, notes: Sequence[ConfirmationNote], metric: str) -> Finding:
    """Return a candidate that no confirmation decided: what got worse is suspected, what got better told as that."""
    silent = [reason for note in notes for name, reason in note.silent if name in {"", metric}]
    note = notes[0] if notes else None
    why = silent[0] if silent else "no confirmation was run"
    is_better = one.candidate.side is Side.BETTER
    again = "" if one.alert is None or is_better else _suspected_again(one.alert)
    return replace(
        finding,
        outcome=Outcome.IMPROVED if is_better else Outcome.SUSPECTED,
        reason=f"{finding.reason}; not confirmed: {why}{again}",
        job_id=note.job_id if note is not None else "",
        reproduce=note.reproduce if note is not None else "",
        limits=note.limits if note is not None else "",
    )


def _suspected_again(alert: Alert) -> str:
    """Return who decides on what nights suspect again and again: repeating is no proof (docs/decisions/0027)."""
    name = alert.alert_id
    return (
        f"; suspected since night {alert.first_night}, and somebody must decide: `steelyard alerts ack {name}` where "
        f"it is looked into, `steelyard alerts accept {name}` where it is to stay"
    )


def _is_elsewhere(one: JudgedCandidate, rule: MetricRule, note: ConfirmationNote, outcome: ConfirmationOutcome) -> bool:
    """Say whether the current figure of a confirmation still shows the change, which something else must then make."""
    before = one.candidate.before
    if note.factor is Factor.AGAIN or not note.limits or before is None or outcome.after is None:
        return False
    change = (outcome.after - before) * (rule.worse_sign or 1)
    return change >= rule.minimum_effect * abs(before) and change >= rule.minimum_effect_abs and change > 0.0
