"""A reading: a number that a meter read, or the reason why there is none. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# No device of ours draws this much: what is above was misread (a wrong unit, a wrong shunt, a counter that was reset).
HIGHEST_POWER_W = 10_000.0


class Status(Enum):
    """How much a reading can be trusted; the values are the wire's names without their prefix."""

    MEASURED = "MEASURED"
    ESTIMATED = "ESTIMATED"
    UNAVAILABLE = "UNAVAILABLE"


class Scope(Enum):
    """What part of the device a reading covers; readings of different scopes are never compared."""

    PROCESS = "PROCESS"
    SOC = "SOC"
    MODULE = "MODULE"
    BOARD_RAILS = "BOARD_RAILS"
    BOARD_INPUT = "BOARD_INPUT"
    WALL = "WALL"
    BATTERY = "BATTERY"
    GPU_BOARD = "GPU_BOARD"
    SYSTEM = "SYSTEM"


class Kind(Enum):
    """Whether a source counts up (energy) or is sampled (power, temperature)."""

    COUNTER = "COUNTER"
    SAMPLED = "SAMPLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value from one source, with all that is needed to know what it means.

    ``unit`` is an SI symbol ("J", "W", "Cel", "Hz", "B"); ``resolution`` is in that unit; ``rate_hz`` is how often the
    source renews its value. ``value`` is None exactly when ``status`` is UNAVAILABLE, and then ``reason`` says why.
    """

    name: str
    value: float | None
    status: Status
    source: str
    scope: Scope
    unit: str
    kind: Kind
    reason: str = ""
    resolution: float | None = None
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        """Refuse a reading that is neither a value nor a reason."""
        if (self.value is None) != (self.status is Status.UNAVAILABLE):
            raise ValueError(f"reading {self.name!r}: status {self.status.value} does not fit value {self.value!r}")
        if self.value is None and not self.reason:
            raise ValueError(f"reading {self.name!r} is unavailable without a reason")


def unavailable(name: str, *, reason: str, source: str, scope: Scope, unit: str, kind: Kind) -> Reading:
    """Return the reading that stands where nothing could be measured."""
    return Reading(
        name=name,
        value=None,
        status=Status.UNAVAILABLE,
        reason=reason,
        source=source,
        scope=scope,
        unit=unit,
        kind=kind,
    )
