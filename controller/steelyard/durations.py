"""Durations as people write them: 90s, 10m, 1.5h."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 24 * 3600.0, None: 1.0}
# Far beyond any measurement, and safe in every unit that travels (int64 milliseconds).
_MAX_DURATION_S = 10_000 * 3600.0


def parse_duration(text: str, *, may_be_zero: bool = False) -> float:
    """Return seconds; a number alone is seconds.

    Raises:
        ValueError: It is no duration, or not within 0 and 10,000 hours; the sentence names it.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 90s, 10m or 1.5h")
    seconds = float(match["number"]) * _SECONDS[match["unit"]]
    if not (seconds > 0 or (seconds == 0 and may_be_zero)) or seconds > _MAX_DURATION_S:
        raise ValueError(f"{text!r} is not more than 0 and at most {_MAX_DURATION_S / 3600:.0f}h")
    return seconds


def human_duration(seconds: float) -> str:
    """Return a duration for people: "45 s", "2 min 5 s", "1 h 10 min"."""
    whole = max(1, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
