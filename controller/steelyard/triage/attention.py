"""What people said of open alerts, and silences: the lines of a report that say what is kept quiet, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from steelyard.nightly.night_report import Acknowledgement
from steelyard.triage.alert import Alert, AlertState
from steelyard.triage.instants import parse_instant
from steelyard.triage.silence import Silence

# A week: whoever reads the report on Monday can still do something.
EXPIRES_SOON = timedelta(days=7)


def kept_quiet(alerts: Iterable[Alert], silences: Iterable[Silence], now: datetime) -> tuple[Acknowledgement, ...]:
    """Return acknowledged alerts and active silences, those that end first at the top."""
    lines = [_of_alert(one, now) for one in alerts if one.state is AlertState.ACKNOWLEDGED]
    lines += [_of_silence(one, now) for one in silences if one.is_active(now)]
    return tuple(sorted(lines, key=lambda line: (not line.until, line.until, line.what)))


def _of_alert(alert: Alert, now: datetime) -> Acknowledgement:
    said = alert.last_event
    return Acknowledgement(
        what=str(alert.subject),
        who=said.who,
        reason=said.reason,
        until=alert.acknowledged_until,
        alert_id=alert.alert_id,
        expires_soon=_is_soon(alert.acknowledged_until, now),
    )


def _of_silence(silence: Silence, now: datetime) -> Acknowledgement:
    return Acknowledgement(
        what=f"silence {silence.silence_id}: {silence}",
        who=silence.created_by,
        reason=silence.reason,
        until=silence.expires_at,
        expires_soon=_is_soon(silence.expires_at, now),
    )


def _is_soon(until: str, now: datetime) -> bool:
    return bool(until) and parse_instant(until) - now <= EXPIRES_SOON
