"""What an external meter is: opened, read again and again, closed; every trouble is a MeterError with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite
from typing import Protocol

from steelyard.errors import DeviceError, UsageError

# No device of ours draws this much: what is above was misread.
HIGHEST_POWER_W = 10_000.0
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+-]*):(?P<address>.*)", re.DOTALL)
_MAX_URL_CHARACTERS = 500

# A pulse of the load marker spans so many samples, or its edges cannot be placed.
PULSE_PERIODS = 3
_LEAST_PULSE_S = 0.2
# An energy of a shorter window, or of fewer inferences, is of low confidence.
LEAST_WINDOW_S = 10.0
LEAST_INFERENCES = 100
# An energy of fewer than 300 samples is of low confidence; a tenth more, because a poll may come late.
_WANTED_SAMPLES = 330


class MeterError(DeviceError):
    """A meter that cannot be reached or read; costs its readings, never the job."""


class Scope(Enum):
    """What part of a device a meter covers; the values are the wire's names without their prefix."""

    WALL = "WALL"
    BOARD_INPUT = "BOARD_INPUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterUrl:
    """Where a meter is: "shelly:http://192.168.1.20" has the scheme "shelly"; the address is the kind's to read."""

    text: str
    scheme: str
    address: str

    @classmethod
    def parse(cls, text: str) -> MeterUrl:
        """Split a URL at its first colon.

        Raises:
            UsageError: ``bad_meter``.
        """
        match = _URL.fullmatch(text)
        if match is None or len(text) > _MAX_URL_CHARACTERS or not text.isprintable():
            raise UsageError("bad_meter", f"meter {text[:80]!r} is not KIND:ADDRESS, as shelly:http://192.168.1.20")
        return cls(text=text, scheme=match["scheme"], address=match["address"])


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSample:
    """What a meter said at one moment of the controller's monotonic clock: power, or energy counted so far, or both."""

    time_ns: int
    power_w: float | None = None
    energy_j: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no device draws: a wrong unit, a broken payload."""
        if self.power_w is None and self.energy_j is None:
            raise MeterError("meter_nonsense", "the meter told neither power nor energy")
        if self.power_w is not None and not (isfinite(self.power_w) and abs(self.power_w) <= HIGHEST_POWER_W):
            raise MeterError("meter_nonsense", f"the meter says {self.power_w!r} W, which no device here draws")
        if self.energy_j is not None and not (isfinite(self.energy_j) and self.energy_j >= 0):
            raise MeterError("meter_nonsense", f"the meter's counter says {self.energy_j!r} J")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFacts:
    """What must be known of an open meter to judge what it says.

    ``period_s`` is how often it has something new; resolutions are the least difference between two values, None where
    that is not known; ``averaging_s`` is the time that one value of power is a mean over, None where nobody says.
    """

    description: str
    scope: Scope
    period_s: float
    power_resolution_w: float | None = None
    energy_resolution_j: float | None = None
    averaging_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse a period that cannot be waited for."""
        if not 0 < self.period_s <= 60:
            raise ValueError(f"a meter's period of {self.period_s!r} s is not between 0 and 60")


class Meter(Protocol):
    """One meter. Used from one thread, which may be another than the one that made it."""

    def open(self) -> MeterFacts:
        """Connect and say what it is.

        Raises:
            MeterError: it is not there, is something else, or its library is missing.
        """
        ...

    def read(self) -> Sequence[MeterSample]:
        """Return what is new since the last call, rising in time; returns within seconds, with nothing if need be.

        Raises:
            MeterError: it did not answer, or answered nonsense.
        """
        ...

    def close(self) -> None:
        """Let go of it; never raises, also when it was never opened."""
        ...


def _ready() -> str:
    return ""


def _none_found() -> list[str]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterKind:
    """A kind of meter, by the scheme of its URLs.

    Args:
        scheme: Of its URLs, lower case.
        summary: What it is, for the list of kinds.
        example: A URL.
        period_s: How often a meter of this kind has something new; chooses the length of the load marker's pulses.
        make: Makes an unopened meter; raises UsageError for an address that makes no sense.
        missing: Why it cannot be used here and what to install, "" when it can.
        find: URLs of meters of this kind that are plugged in here, where looking is cheap.
    """

    scheme: str
    summary: str
    example: str
    period_s: float
    make: Callable[[MeterUrl], Meter]
    missing: Callable[[], str] = field(default=_ready)
    find: Callable[[], list[str]] = field(default=_none_found)

    @property
    def energy_window_s(self) -> float:
        """Return the shortest energy window that gives this kind enough samples: 330 s for a plug."""
        return max(LEAST_WINDOW_S, _WANTED_SAMPLES * self.period_s)

    @property
    def pulse_s(self) -> float:
        """Return how long a pulse of the load marker must be for this kind to see it."""
        return max(_LEAST_PULSE_S, PULSE_PERIODS * self.period_s)
