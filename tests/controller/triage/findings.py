"""Findings, alerts and nights to triage."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from steelyard.nightly.night_findings import Finding, Outcome, Ratio, SeriesName
from steelyard.triage.alert import Alert, AlertSubject, subject_of
from steelyard.triage.nights import next_alerts
from steelyard.triage.silence import Silence, parse_matcher
from steelyard.triage.tonight import DevicesTonight, NightStamp, TriagedNight

SUITE = "phones"
_FIRST = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)


def series(model: str = "mobilenet", device: str = "pi5", metric: str = "p50") -> SeriesName:
    return SeriesName(model=model, device_id=f"id-{device}", device=device, runtime="onnxruntime", metric=metric)


def finding(outcome: Outcome, name: SeriesName | None = None, *, slower: float = 0.05, night: int = 10) -> Finding:
    ratio = 1.0 + slower
    return Finding(
        series=name or series(),
        outcome=outcome,
        unit="ns",
        before=2.0e6,
        after=2.0e6 * ratio,
        reason=f"{slower:.0%} slower in 20 rounds",
        ratio=Ratio(value=ratio, low=ratio - 0.01, high=ratio + 0.01, confidence=0.99),
        round_count=20,
        first_bad_night=night,
        first_bad_at=f"2026-11-{night:02d}T02:00:00Z",
        job_id=f"job-{night}",
    )


def subject(name: SeriesName | None = None) -> AlertSubject:
    return subject_of(name or series(), SUITE)


def stamp(number: int) -> NightStamp:
    return NightStamp(suite=SUITE, number=number, now=_FIRST + timedelta(days=number - 1))


def tell(
    number: int,
    *findings: Finding,
    alerts: tuple[Alert, ...] = (),
    steady: tuple[AlertSubject, ...] = (),
    devices: DevicesTonight | None = None,
    silences: tuple[Silence, ...] = (),
) -> TriagedNight:
    return next_alerts(
        alerts,
        findings,
        steady=steady,
        devices=devices or DevicesTonight(),
        silences=silences,
        night=stamp(number),
    )


def silence(*matchers: str, until: str = "2026-11-20T00:00:00Z") -> Silence:
    return Silence(
        silence_id="s1",
        matchers=tuple(parse_matcher(one) for one in matchers),
        created_at="2026-11-02T00:00:00Z",
        created_by="ada",
        expires_at=until,
        reason="the fan is on order",
    )
