"""Times as they are stored and sent: UTC in ISO 8601 ("2026-11-28T02:00:00Z")."""

from __future__ import annotations

from datetime import datetime, timezone


def parse_instant(text: str) -> datetime:
    """Return a time in UTC.

    Raises:
        ValueError: It is no time in ISO 8601, or has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write 2026-11-28T02:00:00Z")
    return moment.astimezone(timezone.utc)


def instant_text(moment: datetime) -> str:
    """Return a time in UTC to the second, "2026-11-28T02:00:00Z".

    Raises:
        ValueError: It has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def require_instant(text: str) -> None:
    """Refuse what is no time with a time zone.

    Raises:
        ValueError: With the text.
    """
    parse_instant(text)
