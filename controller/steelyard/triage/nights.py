"""What a night makes of the open alerts: which go on, which end, which begin, and what of the night is news."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from steelyard.nightly.night_findings import Finding, Outcome
from steelyard.triage.alert import STEELYARD, Alert, AlertState, AlertSubject, kept_evidence, new_alert, subject_of
from steelyard.triage.instants import instant_text, parse_instant
from steelyard.triage.severity import is_worse_than
from steelyard.triage.silence import Silence, silence_of
from steelyard.triage.transitions import moved, without_acknowledgement

# One good night may be luck: a regression that comes and goes would open an alert every second night.
NIGHTS_UNTIL_FIXED = 2

_WORSE = frozenset({Outcome.CONFIRMED, Outcome.SUSPECTED, Outcome.UNDECIDED})
_OPENS = {
    Outcome.CONFIRMED: AlertState.CONFIRMED,
    Outcome.SUSPECTED: AlertState.SUSPECTED,
    Outcome.UNDECIDED: AlertState.UNDECIDED,
}
# Once confirmed, a later night without a confirmation does not take it back.
_STANDING = frozenset({AlertState.CONFIRMED, AlertState.ACKNOWLEDGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NightStamp:
    """Which night of which suite, and the time at its end (with a time zone)."""

    suite: str
    number: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTrouble:
    """A device that is not what it was; ``sentence`` says how that is known."""

    device_id: str
    device: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesTonight:
    """Devices that were measured: those in trouble, and the ids of those whose sentinel is steady."""

    troubles: tuple[DeviceTrouble, ...] = ()
    steady_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TriagedNight:
    """What a night comes to.

    Attributes:
        alerts: Every alert that was open before, or begins now, as it is now; closed ones among them ended tonight.
        findings: The night's, with the outcomes that triage gives them (known, fixed, device) and their alerts' ids.
    """

    alerts: tuple[Alert, ...]
    findings: tuple[Finding, ...]

    @property
    def open_alerts(self) -> tuple[Alert, ...]:
        """Those that go on."""
        return tuple(one for one in self.alerts if one.is_open)


def next_alerts(
    open_alerts: Sequence[Alert],
    findings: Sequence[Finding],
    *,
    steady: Collection[AlertSubject],
    devices: DevicesTonight,
    silences: tuple[Silence, ...],
    night: NightStamp,
    nights_until_fixed: int = NIGHTS_UNTIL_FIXED,
) -> TriagedNight:
    """Carry the alerts over one night.

    A night that is told twice changes nothing the second time. An alert whose series was neither found to differ nor
    steady (not measured) waits as it is. Changes on a device that is in trouble are held back: they open no alert.

    Args:
        open_alerts: Of this suite.
        findings: What the night says of each series that is not steady, before triage; one a series.
        steady: The series that were measured and are as they were.
        devices: What the sentinels say.
        silences: All that are kept; those that are over count for nothing.
        night: The night that ends.
        nights_until_fixed: Good nights in a row until an alert ends.
    """
    teller = _Teller(silences=silences, night=night, nights_until_fixed=nights_until_fixed)
    known = {alert.subject.key: teller.woken(alert) for alert in open_alerts}
    ill = {trouble.device_id for trouble in devices.troubles}
    told = []
    for finding in findings:
        subject = subject_of(finding.series, night.suite)
        alert = known.get(subject.key)
        after, seen = teller.finding(finding, subject, alert, held_back=finding.series.device_id in ill)
        told.append(seen)
        if after is not None:
            known[subject.key] = after
    for subject in steady:
        alert = known.get(subject.key)
        if alert is not None and subject.device_id not in ill:
            known[subject.key] = teller.good(alert)
    for alert in teller.devices(devices, known):
        known[alert.subject.key] = alert
    fixed = [one for one in known.values() if teller.ended_tonight(one) and one.state is AlertState.FIXED]
    return TriagedNight(alerts=tuple(known.values()), findings=tuple(_with_fixed(told, fixed, night.suite)))


def _with_fixed(findings: Sequence[Finding], fixed: Sequence[Alert], suite: str) -> list[Finding]:
    """Return the findings with one of each series whose alert ended, in place of what else was found of it."""
    ended = {alert.subject.key: alert for alert in fixed if alert.evidence is not None}
    rest = [one for one in findings if subject_of(one.series, suite).key not in ended]
    return [*rest, *(_fixed_finding(alert) for alert in ended.values())]


def _fixed_finding(alert: Alert) -> Finding:
    assert alert.evidence is not None
    return dataclasses.replace(
        alert.evidence, outcome=Outcome.FIXED, reason=alert.last_event.reason, alert_id=alert.alert_id, reproduce=""
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller:
    """What one night says to one alert after the other."""

    silences: tuple[Silence, ...]
    night: NightStamp
    nights_until_fixed: int

    @property
    def at(self) -> str:
        return instant_text(self.night.now)

    def ended_tonight(self, alert: Alert) -> bool:
        return not alert.is_open and alert.last_event.night_number == self.night.number

    def woken(self, alert: Alert) -> Alert:
        """Return an alert whose acknowledgement is over as it was before."""
        until = alert.acknowledged_until
        if not until or parse_instant(until) > self.night.now:
            return alert
        reason = f"the acknowledgement until {until} is over"
        return without_acknowledgement(alert, reason=reason, at=self.at, night_number=self.night.number)

    def finding(
        self, finding: Finding, subject: AlertSubject, alert: Alert | None, *, held_back: bool
    ) -> tuple[Alert | None, Finding]:
        """Return the series' alert after a finding (None: it needs none), and the finding as triage sees it."""
        named = dataclasses.replace(finding, alert_id=alert.alert_id if alert is not None else "")
        if finding.outcome is Outcome.DEVICE or (held_back and finding.outcome in _WORSE):
            return alert, dataclasses.replace(named, outcome=Outcome.DEVICE)
        if finding.outcome in (Outcome.NOT_REPRODUCED, Outcome.IMPROVED, Outcome.STEADY):
            return (self._not_reproduced(alert, finding) if alert is not None else None), named
        if finding.outcome not in _WORSE:
            return alert, named
        after = self._opened(finding, subject) if alert is None else self._seen(alert, finding)
        return after, self._news(after, finding)

    def _opened(self, finding: Finding, subject: AlertSubject) -> Alert:
        return new_alert(
            subject,
            state=_OPENS[finding.outcome],
            first_night=min(finding.first_bad_night or self.night.number, self.night.number),
            first_at=finding.first_bad_at,
            night_number=self.night.number,
            at=self.at,
            reason=finding.reason,
            evidence=finding,
        )

    def _seen(self, alert: Alert, finding: Finding) -> Alert:
        """Return an alert whose series is worse again, or still."""
        seen = dataclasses.replace(
            alert, last_night=max(alert.last_night, self.night.number), good_nights=0, reason=finding.reason
        )
        confirmed = finding.outcome is Outcome.CONFIRMED
        if alert.state is AlertState.ACKNOWLEDGED:
            if not (confirmed and is_worse_than(finding, alert.evidence)):
                return seen
            seen = self._moved(seen, AlertState.CONFIRMED, f"worse than what was acknowledged: {finding.reason}")
        elif alert.state not in _STANDING and _OPENS[finding.outcome] is not alert.state:
            to_state = _OPENS[finding.outcome]
            # Suspected says less than undecided: it is kept, and tried again.
            if not (alert.state is AlertState.UNDECIDED and to_state is AlertState.SUSPECTED):
                seen = self._moved(seen, to_state, finding.reason)
        if confirmed or alert.state not in _STANDING:
            seen = dataclasses.replace(seen, evidence=kept_evidence(finding))
        return seen

    def _news(self, alert: Alert, finding: Finding) -> Finding:
        """Return a finding with the outcome that its alert and the silences give it."""
        named = dataclasses.replace(finding, alert_id=alert.alert_id)
        if alert.state is AlertState.ACKNOWLEDGED:
            known = alert.last_event
            return dataclasses.replace(
                named, outcome=Outcome.KNOWN, reason=f"acknowledged by {known.who}: {known.reason}"
            )
        silence = silence_of(alert.subject, self.silences, self.night.now)
        if silence is not None:
            words = f"silenced by {silence.created_by} until {silence.expires_at}: {silence.reason}"
            return dataclasses.replace(named, outcome=Outcome.KNOWN, reason=words)
        if alert.state is AlertState.CONFIRMED and finding.outcome is not Outcome.CONFIRMED:
            return _still_there(named, alert)
        return named

    def _not_reproduced(self, alert: Alert, finding: Finding) -> Alert:
        """Return an alert whose series a confirmation found to be as it was, or which is as good as ever."""
        if alert.state in (AlertState.SUSPECTED, AlertState.CONFIRMING, AlertState.UNDECIDED):
            return self._moved(alert, AlertState.NOT_REPRODUCED, finding.reason)
        return self.good(alert)

    def good(self, alert: Alert) -> Alert:
        """Return an alert after a night that was measured and fine."""
        if alert.last_night >= self.night.number or self._is_told(alert):
            return alert
        nights = alert.good_nights + 1
        better = dataclasses.replace(alert, good_nights=nights)
        if nights < self.nights_until_fixed:
            return better
        words = f"{nights} good nights in a row" if nights > 1 else "a good night"
        if alert.state in (AlertState.SUSPECTED, AlertState.CONFIRMING, AlertState.UNDECIDED):
            return self._moved(better, AlertState.NOT_REPRODUCED, f"not seen again: {words}")
        return self._moved(better, AlertState.FIXED, f"as good as before: {words}")

    def _is_told(self, alert: Alert) -> bool:
        """Say whether this night was counted as a good one before (a night that is resumed)."""
        return alert.last_night + alert.good_nights >= self.night.number or not alert.is_open

    def devices(self, tonight: DevicesTonight, known: Mapping[tuple[str, ...], Alert]) -> list[Alert]:
        """Return the alerts of devices that begin, go on or end."""
        alerts = []
        for trouble in tonight.troubles:
            subject = AlertSubject(suite=self.night.suite, device_id=trouble.device_id, device=trouble.device)
            alert = known.get(subject.key)
            if alert is None:
                alert = new_alert(
                    subject,
                    state=AlertState.CONFIRMED,
                    first_night=self.night.number,
                    first_at=self.at,
                    night_number=self.night.number,
                    at=self.at,
                    reason=trouble.sentence,
                )
            last = max(alert.last_night, self.night.number)
            alerts.append(dataclasses.replace(alert, last_night=last, good_nights=0, reason=trouble.sentence))
        ill = {trouble.device_id for trouble in tonight.troubles}
        alerts += [
            self.good(alert)
            for alert in known.values()
            if alert.subject.is_device and alert.subject.device_id in tonight.steady_ids - ill
        ]
        return alerts

    def _moved(self, alert: Alert, to_state: AlertState, reason: str) -> Alert:
        return moved(alert, to_state, who=STEELYARD, reason=reason, at=self.at, night_number=self.night.number)


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
