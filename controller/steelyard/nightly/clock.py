"""The clocks of a night: time of day for people, time that only goes on for budgets, and waiting that can be ended."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """What a night asks of time."""

    def now(self) -> datetime:
        """Return the time of day in UTC; it may be set, and go back."""
        ...

    def elapsed_s(self) -> float:
        """Return seconds since some moment; it never goes back."""
        ...

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long, or until ``stop`` is set; return whether it is."""
        ...


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(tz=timezone.utc)

    def elapsed_s(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait."""
        return stop.wait(seconds)
