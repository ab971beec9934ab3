"""Alerts and silences to JSON and back, as they are stored and sent."""

from __future__ import annotations

import json
from typing import TypeVar

from steelyard.nightly.report_json import made, plain
from steelyard.triage.alert import Alert
from steelyard.triage.errors import TriageError
from steelyard.triage.silence import Silence

_T = TypeVar("_T", Alert, Silence)


def alert_to_json(alert: Alert) -> str:
    """Return an alert as JSON, its version left to the store."""
    return _written(alert)


def alert_from_json(text: str, *, version: int) -> Alert:
    """Return the alert that ``alert_to_json`` wrote, with the store's version.

    Raises:
        TriageError: ``bad_alert``.
    """
    return _read(Alert, text, version)


def silence_to_json(silence: Silence) -> str:
    """Return a silence as JSON, its version left to the store."""
    return _written(silence)


def silence_from_json(text: str, *, version: int) -> Silence:
    """Return the silence that ``silence_to_json`` wrote, with the store's version.

    Raises:
        TriageError: ``bad_silence``.
    """
    return _read(Silence, text, version)


def _written(value: Alert | Silence) -> str:
    values = plain(value)
    del values["version"]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _read(kind: type[_T], text: str, version: int) -> _T:
    try:
        return made(kind, {**json.loads(text), "version": version})
    except (ValueError, TypeError, RecursionError) as error:
        name = kind.__name__.lower()
        raise TriageError(f"bad_{name}", f"this is no {name} that can be read: {error}") from error
