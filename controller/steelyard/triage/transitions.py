"""Which state of an alert may follow which, and what people do: acknowledge, accept, close."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from steelyard.triage.alert import MAX_REASON_CHARACTERS, STEELYARD, Alert, AlertEvent, AlertState
from steelyard.triage.errors import TriageError
from steelyard.triage.instants import parse_instant

_TRIAGED = frozenset(
    {
        AlertState.ACKNOWLEDGED,
        AlertState.FIXED,
        AlertState.ACCEPTED,
        AlertState.INVALID,
        AlertState.INFRASTRUCTURE,
        AlertState.DEVICE,
    }
)
_JUDGED = frozenset({AlertState.CONFIRMED, AlertState.NOT_REPRODUCED, AlertState.UNDECIDED})

# What is closed stays closed: the same series getting worse again is another alert, with a first night of its own.
TRANSITIONS: Mapping[AlertState, frozenset[AlertState]] = {
    AlertState.SUSPECTED: _TRIAGED | _JUDGED | {AlertState.CONFIRMING},
    # Back to suspected where the night ends before the confirmation does.
    AlertState.CONFIRMING: _TRIAGED | _JUDGED | {AlertState.SUSPECTED},
    AlertState.UNDECIDED: _TRIAGED | _JUDGED - {AlertState.UNDECIDED} | {AlertState.CONFIRMING},
    AlertState.CONFIRMED: _TRIAGED,
    # Back to where it was when the acknowledgement ends, and to confirmed when it got worse.
    AlertState.ACKNOWLEDGED: _TRIAGED
    | {AlertState.SUSPECTED, AlertState.UNDECIDED, AlertState.CONFIRMED, AlertState.NOT_REPRODUCED},
    **{
        state: frozenset()
        for state in (
            AlertState.NOT_REPRODUCED,
            AlertState.FIXED,
            AlertState.ACCEPTED,
            AlertState.INVALID,
            AlertState.INFRASTRUCTURE,
            AlertState.DEVICE,
        )
    },
}
# What a person may call an alert that is closed.
CLOSED_AS = (AlertState.FIXED, AlertState.INFRASTRUCTURE, AlertState.DEVICE, AlertState.INVALID)


def moved(
    alert: Alert,
    to_state: AlertState,
    *,
    who: str,
    reason: str,
    at: str,
    night_number: int | None = None,
    until: str = "",
    baseline_night: int | None = None,
) -> Alert:
    """Return the alert in another state, with the event that says who, why and when (UTC, ISO 8601).

    Raises:
        TriageError: ``bad_transition``; ``bad_reason`` or ``bad_person`` for nothing, or too much.
    """
    if to_state not in TRANSITIONS[alert.state]:
        raise TriageError("bad_transition", _refusal(alert, to_state))
    if not reason.strip() or len(reason) > MAX_REASON_CHARACTERS:
        raise TriageError("bad_reason", f"say why in 1 to {MAX_REASON_CHARACTERS} characters: --reason 'in ticket 41'")
    if not who.strip():
        raise TriageError("bad_person", "say who: --who ada")
    event = AlertEvent(
        at=at, who=who, from_state=alert.state, to_state=to_state, reason=reason, night_number=night_number
    )
    return dataclasses.replace(
        alert,
        state=to_state,
        acknowledged_until=until,
        baseline_night=baseline_night,
        events=(*alert.events, event),
    )


def acknowledged(alert: Alert, *, who: str, reason: str, at: str, until: str = "") -> Alert:
    """Return the alert that somebody knows of: no news, until ``until`` (UTC, ISO 8601; "" has no end).

    Raises:
        TriageError: ``bad_transition``, ``bad_reason``, ``bad_person``; ``bad_until`` for an end that is past.
    """
    if until and parse_instant(until) <= parse_instant(at):
        raise TriageError("bad_until", f"an acknowledgement until {until} is over already: --until 14d")
    return moved(alert, AlertState.ACKNOWLEDGED, who=who, reason=reason, at=at, until=until)


def accepted(alert: Alert, *, who: str, reason: str, at: str) -> Alert:
    """Return the alert whose change is meant; its first bad night begins the series' new baseline.

    Raises:
        TriageError: ``bad_transition``, ``bad_reason``, ``bad_person``; ``no_baseline`` for a device.
    """
    if alert.subject.is_device:
        raise TriageError("no_baseline", f"{alert.subject} has no baseline to accept: acknowledge it, or close it")
    return moved(alert, AlertState.ACCEPTED, who=who, reason=reason, at=at, baseline_night=alert.first_night)


def closed(alert: Alert, state: AlertState, *, who: str, reason: str, at: str) -> Alert:
    """Return the alert closed by a person as fixed, infrastructure, device or invalid.

    Raises:
        TriageError: ``bad_transition``, ``bad_reason``, ``bad_person``.
    """
    if state not in CLOSED_AS:
        known = ", ".join(one.value for one in CLOSED_AS)
        raise TriageError("bad_transition", f"an alert is not closed as {state.value}; known: {known}")
    return moved(alert, state, who=who, reason=reason, at=at)


def without_acknowledgement(alert: Alert, *, reason: str, at: str, night_number: int | None = None) -> Alert:
    """Return an acknowledged alert in the state that it had before."""
    # An acknowledgement that was extended has several events.
    earlier = (event.from_state for event in reversed(alert.events))
    before = next(state for state in earlier if state is not AlertState.ACKNOWLEDGED)
    back = before if before in TRANSITIONS[AlertState.ACKNOWLEDGED] else AlertState.SUSPECTED
    assert back is not None
    return moved(alert, back, who=STEELYARD, reason=reason, at=at, night_number=night_number)


def _refusal(alert: Alert, to_state: AlertState) -> str:
    if alert.is_open:
        allowed = ", ".join(sorted(one.value for one in TRANSITIONS[alert.state]))
        return f"alert {alert.alert_id} is {alert.state.value}: it cannot become {to_state.value}, only {allowed}"
    last = alert.last_event
    return (
        f"alert {alert.alert_id} was closed as {alert.state.value} by {last.who} at {last.at}; a change that is seen "
        "again opens another one"
    )
