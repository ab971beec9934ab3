"""What of a night's findings is news: what is acknowledged, silenced, held back or fixed is told as that."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.triage.alert import Alert, AlertState
from steelyard.triage.silence import Silence, silence_of
from steelyard.triage.tonight import DeviceTrouble


def held_back(finding: Finding, trouble: DeviceTrouble | None, alert_id: str) -> Finding:
    """Return the finding of a device that is itself not what it was."""
    reason = finding.reason if trouble is None else f"held back because of the device: {trouble.sentence}"
    return dataclasses.replace(finding, outcome=Outcome.DEVICE, reason=reason, alert_id=alert_id)


def news_of(finding: Finding, alert: Alert, silences: tuple[Silence, ...], now: datetime) -> Finding:
    """Return a finding with the outcome that its alert and the silences give it."""
    named = dataclasses.replace(finding, alert_id=alert.alert_id)
    if alert.state is AlertState.ACKNOWLEDGED or not alert.is_open:
        known, word = alert.last_event, alert.state.value.replace("_", " ")
        return dataclasses.replace(named, outcome=Outcome.KNOWN, reason=f"{word} by {known.who}: {known.reason}")
    silence = silence_of(alert.subject, silences, now)
    if silence is not None:
        words = f"silenced by {silence.created_by} until {silence.expires_at}: {silence.reason}"
        return dataclasses.replace(named, outcome=Outcome.KNOWN, reason=words)
    if alert.state is AlertState.CONFIRMED and finding.outcome is not Outcome.CONFIRMED:
        return _still_there(named, alert)
    return named


def fixed_finding(alert: Alert) -> Finding | None:
    """Return the finding of an alert that ended as fixed, None for a device's."""
    if alert.evidence is None:
        return None
    return dataclasses.replace(
        alert.evidence, outcome=Outcome.FIXED, reason=alert.last_event.reason, alert_id=alert.alert_id, reproduce=""
    )


def _still_there(finding: Finding, alert: Alert) -> Finding:
    """Return a finding of a night without a confirmation, of a regression that an earlier night confirmed."""
    if alert.evidence is None:
        return finding
    tonight = "tonight's confirmation was undecided" if finding.outcome is Outcome.UNDECIDED else "not confirmed anew"
    return dataclasses.replace(
        finding,
        outcome=Outcome.CONFIRMED,
        before=alert.evidence.before,
        after=alert.evidence.after,
        ratio=alert.evidence.ratio,
        round_count=alert.evidence.round_count,
        job_id=alert.evidence.job_id,
        reason=f"still worse, {tonight}: {alert.evidence.reason}",
    )
