"""Maintenance windows: times of the day, on some days of the week, by this device's local time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TEXT = re.compile(rf"(?:((?:{'|'.join(_DAYS)})(?:,(?:{'|'.join(_DAYS)}))*) )?(\d\d):(\d\d)-(\d\d):(\d\d)")
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From one minute of the day until another; one that ends before it begins goes on into the next day.

    ``weekdays`` are those on which it begins, Monday 0.
    """

    weekdays: frozenset[int]
    begin_minute: int
    end_minute: int

    def __post_init__(self) -> None:
        """Refuse times that no clock shows, and a window without a length."""
        if not (0 <= self.begin_minute < _MINUTES_A_DAY and 0 < self.end_minute <= _MINUTES_A_DAY):
            raise ValueError("its times are not between 00:00 and 24:00")
        if self.begin_minute == self.end_minute or not self.weekdays:
            raise ValueError("it is never open")

    def span(self, day: datetime) -> tuple[datetime, datetime]:
        """Return when the window that begins on ``day`` opens and closes."""
        midnight = datetime.combine(day.date(), time())
        length = (self.end_minute - self.begin_minute) % _MINUTES_A_DAY or _MINUTES_A_DAY
        opens = midnight + timedelta(minutes=self.begin_minute)
        return opens, opens + timedelta(minutes=length)


def parse_window(text: str) -> Window:
    """Read ``"22:00-06:00"`` or ``"Sat,Sun 00:00-24:00"``.

    Raises:
        ValueError: It is something else.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f'{text[:60]!r} is no window like "22:00-06:00" or "Sat,Sun 00:00-24:00"')
    names, *numbers = match.groups()
    begin_hour, begin_minute, end_hour, end_minute = (int(number) for number in numbers)
    if begin_minute > 59 or end_minute > 59:
        raise ValueError(f"{text[:60]!r} has more than 59 minutes")
    days = names.split(",") if names else _DAYS
    try:
        return Window(
            weekdays=frozenset(_DAYS.index(day) for day in days),
            begin_minute=begin_hour * 60 + begin_minute,
            end_minute=end_hour * 60 + end_minute,
        )
    except ValueError as error:
        raise ValueError(f"window {text[:60]!r}: {error}") from error


def next_opening(windows: Sequence[Window], now: datetime) -> datetime:
    """Return ``now`` while one of the windows is open, else when the next one opens; ``now`` is local and naive."""
    # From yesterday, whose window may still be open, to the same weekday of next week.
    days = [now + timedelta(days=offset) for offset in range(-1, 8)]
    spans = [window.span(day) for day in days for window in windows if day.weekday() in window.weekdays]
    if any(opens <= now < closes for opens, closes in spans):
        return now
    return min(opens for opens, _ in spans if opens > now)
