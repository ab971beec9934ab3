"""The firmware of a Raspberry Pi, asked by vcgencmd: its throttle flags and what the processor's clock really does.

Sources: "vcgencmd" in the Raspberry Pi OS documentation; raspberrypi/linux #2986 (GitHub) for ``scaling_cur_freq``,
which tells what was asked for while the firmware runs the clock slower.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.family import is_raspberry_pi
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable

GET_THROTTLED = ("vcgencmd", "get_throttled")
MEASURE_CLOCK = ("vcgencmd", "measure_clock", "arm")

_HIGHEST_HZ = 20_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The word of ``get_throttled``: bits 0 to 3 are now, 16 to 19 since boot; None with the ``reason``."""

    bits: int | None
    reason: str = ""


class PiClock:
    """Reads ``cpu_clock`` by measure_clock; a Pi that gives no answer when this is made is not asked again."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._is_pi = is_raspberry_pi(system)
        self._refused: Reading | None = None
        if self._is_pi:
            first = read_clock(system)
            self._refused = first if first.value is None else None

    def read(self) -> list[Reading]:
        """Read the clock; empty on other devices."""
        if not self._is_pi:
            return []
        return [self._refused or read_clock(self._system)]


def read_clock(system: System) -> Reading:
    """Ask what the processor's clock does now; a subprocess."""
    source = " ".join(MEASURE_CLOCK)
    answer = system.run_command(MEASURE_CLOCK)
    clock_hz = parse_clock(answer.text)
    if clock_hz is None:
        reason = answer.reason or f"{source} says {answer.text[:40]!r}, which is no clock"
        return unavailable("cpu_clock", reason=reason, source=source, scope=Scope.SOC, unit="Hz", kind=Kind.SAMPLED)
    return Reading(
        name="cpu_clock",
        value=float(clock_hz),
        status=Status.MEASURED,
        source=source,
        scope=Scope.SOC,
        unit="Hz",
        kind=Kind.SAMPLED,
    )


def read_flags(system: System) -> Flags:
    """Ask for the throttle flags; a subprocess."""
    answer = system.run_command(GET_THROTTLED)
    bits = parse_throttled(answer.text)
    if bits is None:
        shown = " ".join(GET_THROTTLED)
        return Flags(bits=None, reason=answer.reason or f"{shown} says {answer.text[:40]!r}, which is no flags")
    return Flags(bits=bits)


def parse_clock(text: str) -> int | None:
    """Return the hertz of "frequency(48)=1500345728", None for any other text."""
    match = re.fullmatch(r"frequency\([0-9]+\)=([0-9]{1,12})", text.strip())
    value_hz = int(match.group(1)) if match else 0
    return value_hz if 0 < value_hz <= _HIGHEST_HZ else None


def parse_throttled(text: str) -> int | None:
    """Return the word of "throttled=0x50000", None for any other text."""
    match = re.fullmatch(r"throttled=0x([0-9a-fA-F]{1,8})", text.strip())
    return int(match.group(1), 16) if match else None
