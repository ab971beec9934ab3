"""Alerts and silences on a terminal of 80 columns: renderables for rich; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.nightly.night_findings import Cause
from steelyard.report.listings import hanging, plain_table
from steelyard.report.night import words
from steelyard.triage.alert import Alert, AlertState
from steelyard.triage.silence import Silence

_ID_CHARACTERS = 8
_STYLES = {
    AlertState.CONFIRMED: "bold red",
    AlertState.SUSPECTED: "yellow",
    AlertState.CONFIRMING: "yellow",
    AlertState.UNDECIDED: "yellow",
    AlertState.ACKNOWLEDGED: "cyan",
    AlertState.FIXED: "green",
}


def render_alerts(alerts: Sequence[Alert]) -> RenderableType:
    """Return a line for each alert: id, state, since which night, what."""
    table = plain_table()
    for heading in ("id", "state", "since"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what", overflow="fold")
    for one in alerts:
        since = f"night {one.first_night}"
        table.add_row(short_id(one.alert_id), _state(one.state), since, Text(_what(one)))
    return table


def render_silences(silences: Sequence[Silence]) -> RenderableType:
    """Return a line for each silence: id, until when, what it is about and why."""
    table = plain_table()
    for heading in ("silence", "until (UTC)", "by"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what and why", overflow="fold")
    for one in silences:
        what = Text(f"{one}: {one.reason}")
        table.add_row(short_id(one.silence_id), words.time_text(one.expires_at), Text(one.created_by), what)
    return table


def render_alert(alert: Alert, silences: Sequence[Silence]) -> RenderableType:
    """Return all of an alert: what is wrong, what was measured, and who changed it; ``silences`` are those that fit."""
    return Group(*_story(alert, silences))


def short_id(text: str) -> str:
    """Return as much of an id as one types."""
    return text[:_ID_CHARACTERS]


def state_text(alert: Alert) -> str:
    """Return "acknowledged until 2026-12-12 09:00 UTC" or the like."""
    until = f" until {words.time_text(alert.acknowledged_until)} UTC" if alert.acknowledged_until else ""
    baseline = f", a new baseline from night {alert.baseline_night} on" if alert.baseline_night is not None else ""
    return f"{alert.state.value.replace('_', ' ')}{until}{baseline}"


def _what(alert: Alert) -> str:
    if alert.evidence is None:
        return f"{alert.subject} ({alert.subject.suite}): {alert.reason}"
    cause = f", {words.CAUSE_WORDS[alert.cause]}" if alert.cause is not Cause.UNKNOWN else ""
    return f"{alert.subject} ({alert.subject.suite}): {words.change_text(alert.evidence)}{cause}"


def _state(state: AlertState) -> Text:
    return Text(state.value.replace("_", " "), style=_STYLES.get(state, ""))


def _story(alert: Alert, silences: Sequence[Silence]) -> Iterator[RenderableType]:
    yield Text.assemble((str(alert.subject), "bold"), f" (suite {alert.subject.suite}, alert {alert.alert_id})")
    yield Text.assemble((state_text(alert), _STYLES.get(alert.state, "")))
    nights = f"first on night {alert.first_night}"
    if alert.first_at:
        nights += f" ({alert.first_at[:10]})"
    good = f", {alert.good_nights} good since" if alert.good_nights else ""
    yield Text(f"{nights}, last on night {alert.last_night}{good}")
    yield Text(alert.reason)
    yield from _evidence(alert)
    for one in silences:
        yield Text(f"silenced until {words.time_text(one.expires_at)} UTC by {one.created_by}: {one.reason}")
    yield Text()
    for event in alert.events:
        night = f", night {event.night_number}" if event.night_number is not None else ""
        yield hanging(
            "- ",
            f"{words.time_text(event.at)} {event.who}{night}: {event.to_state.value.replace('_', ' ')}: {event.reason}",
        )


def _evidence(alert: Alert) -> Iterator[RenderableType]:
    found = alert.evidence
    if found is None:
        return
    rounds = f", {words.rounds_text(found)}" if found.round_count else ""
    yield Text(f"{words.before_text(found)} to {words.after_text(found)}, {words.ratio_text(found)}{rounds}")
    if alert.cause is not Cause.UNKNOWN:
        yield Text(f"likely cause: {words.CAUSE_WORDS[alert.cause]}")
    for one in found.environment:
        yield hanging("  ", words.difference_text(one))
    if found.limits:
        yield Text(found.limits)
    if found.reproduce:
        yield Text(f"again: {found.reproduce}")
