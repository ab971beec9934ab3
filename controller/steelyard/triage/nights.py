"""What a night makes of the open alerts: which go on, which end, which begin, and what of the night is news."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

from steelyard.nightly.night_findings import CauseGroup, Finding, Outcome
from steelyard.triage.alert import Alert, AlertState, AlertSubject, subject_of
from steelyard.triage.news import fixed_finding, held_back, news_of
from steelyard.triage.silence import Silence
from steelyard.triage.telling import OPENS, Teller
from steelyard.triage.tonight import DevicesTonight, NightStamp, TriagedNight

# One good night may be luck: a regression that comes and goes would open an alert every second night.
NIGHTS_UNTIL_FIXED = 2

_AS_BEFORE = frozenset({Outcome.NOT_REPRODUCED, Outcome.IMPROVED, Outcome.FIXED, Outcome.STEADY})


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
        open_alerts: Of this suite: those that were open when the night began, as they are now.
        findings: What the night says of each series that is not steady, before triage; one a series.
        steady: The series that were measured and are as they were.
        devices: What the sentinels say.
        silences: All that are kept; those that are over count for nothing.
        night: The night that ends.
        nights_until_fixed: Good nights in a row until an alert ends.
    """
    teller = Teller(night=night, nights_until_fixed=nights_until_fixed)
    known = {alert.subject.key: teller.woken(alert) for alert in open_alerts}
    _tell_devices(teller, known, devices)
    seen = _tell_findings(teller, known, findings, devices, silences)
    troubled = {trouble.device_id for trouble in devices.troubles}
    for subject in steady:
        if subject.key in known and subject.device_id not in troubled:
            known[subject.key] = teller.good(known[subject.key])
    return TriagedNight(alerts=tuple(known.values()), findings=_with_fixed(seen, known.values(), night))


def with_causes(alerts: Iterable[Alert], groups: Iterable[CauseGroup]) -> tuple[Alert, ...]:
    """Return the alerts with the causes of the groups that hold their findings; the others as they are."""
    causes = {finding.alert_id: group.cause for group in groups for finding in group.findings if finding.alert_id}
    return tuple(
        dataclasses.replace(alert, cause=causes[alert.alert_id]) if alert.alert_id in causes else alert
        for alert in alerts
    )


_Known = dict[tuple[str, str, str, str, str], Alert]


def _tell_devices(teller: Teller, known: _Known, devices: DevicesTonight) -> None:
    for trouble in devices.troubles:
        subject = AlertSubject(suite=teller.night.suite, device_id=trouble.device_id, device=trouble.device)
        known[subject.key] = teller.troubled(subject, known.get(subject.key), trouble)
    steady_ids = devices.steady_ids - {trouble.device_id for trouble in devices.troubles}
    for key, alert in known.items():
        if alert.subject.is_device and alert.subject.device_id in steady_ids:
            known[key] = teller.good(alert)


def _tell_findings(
    teller: Teller,
    known: _Known,
    findings: Sequence[Finding],
    devices: DevicesTonight,
    silences: tuple[Silence, ...],
) -> list[Finding]:
    troubles = {trouble.device_id: trouble for trouble in devices.troubles}
    seen = []
    for finding in findings:
        subject = subject_of(finding.series, teller.night.suite)
        alert = known.get(subject.key)
        alert_id = alert.alert_id if alert is not None else ""
        trouble = troubles.get(subject.device_id)
        if finding.outcome is Outcome.DEVICE or (trouble is not None and finding.outcome in OPENS):
            seen.append(held_back(finding, trouble, alert_id))
        elif finding.outcome in OPENS:
            after = teller.opened(subject, finding) if alert is None else teller.seen(alert, finding)
            known[subject.key] = after
            seen.append(news_of(finding, after, silences, teller.night.now))
        else:
            if finding.outcome in _AS_BEFORE and alert is not None and trouble is None:
                known[subject.key] = teller.not_reproduced(alert, finding)
            seen.append(dataclasses.replace(finding, alert_id=alert_id))
    return seen


def _with_fixed(findings: Sequence[Finding], alerts: Iterable[Alert], night: NightStamp) -> tuple[Finding, ...]:
    """Return the findings with one of each series whose alert ended, in place of what else was found of it."""
    fixed: dict[tuple[str, ...], Finding] = {}
    for alert in alerts:
        finding = fixed_finding(alert)
        is_of_tonight = alert.state is AlertState.FIXED and alert.last_event.night_number == night.number
        if is_of_tonight and finding is not None:
            fixed[alert.subject.key] = finding
    rest = [one for one in findings if subject_of(one.series, night.suite).key not in fixed]
    return (*rest, *fixed.values())
