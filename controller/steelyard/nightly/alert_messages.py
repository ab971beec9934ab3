"""Alerts and silences as messages of the NightlyService, and back."""

from __future__ import annotations

from steelyard.triage.alert import Alert
from steelyard.triage.alert_json import alert_from_json, alert_to_json, silence_from_json, silence_to_json
from steelyard.triage.instants import parse_instant
from steelyard.triage.silence import Silence
from steelyard_protocol.v1 import nightly_pb2


def alert_message(alert: Alert) -> nightly_pb2.Alert:
    """Return an alert as it is kept; whoever made its last change is who changes it."""
    subject = alert.subject
    return nightly_pb2.Alert(
        alert_id=alert.alert_id,
        suite_name=subject.suite,
        model=subject.model,
        device_id=subject.device_id,
        runtime=subject.runtime,
        metric=subject.metric,
        state=alert.state.value,
        open=alert.is_open,
        first_night=alert.first_night,
        last_night=alert.last_night,
        json=alert_to_json(alert),
        version=alert.version,
        changed_by=alert.last_event.who,
    )


def alert_of(message: nightly_pb2.Alert) -> Alert:
    """Return the alert that a message holds.

    Raises:
        TriageError: ``bad_alert``.
    """
    return alert_from_json(message.json, version=message.version)


def silence_message(silence: Silence) -> nightly_pb2.Silence:
    """Return a silence as it is kept."""
    message = nightly_pb2.Silence(
        silence_id=silence.silence_id, json=silence_to_json(silence), created_by=silence.created_by
    )
    message.expires_at.FromDatetime(parse_instant(silence.expires_at))
    return message


def silence_of(message: nightly_pb2.Silence) -> Silence:
    """Return the silence that a message holds.

    Raises:
        TriageError: ``bad_silence``.
    """
    return silence_from_json(message.json, version=message.version)
