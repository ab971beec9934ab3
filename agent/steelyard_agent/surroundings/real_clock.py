"""A clock that runs slower than it was asked to. Takes values and returns a value.

Only under a governor that never moves the clock by itself: between reading what was asked for and measuring what runs
(a subprocess), any other may have moved it.
"""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_agent.readings import Reading
from steelyard_agent.surroundings.contract import Circumstance, Weighed

# Measured clocks were reported up to 2 % beside the one that was asked for; throttling takes steps of 50 MHz and more.
SHORTFALL_LIMIT = 0.05
_STILL = "performance"


def weigh_clock(readings: Sequence[Reading], circumstances: Sequence[Circumstance]) -> Weighed:
    """Return whether ``cpu_clock`` falls short of ``cpu_frequency`` in one look; nothing where either is missing."""
    clock_hz = _value(readings, "cpu_clock")
    asked_hz = _value(readings, "cpu_frequency")
    still = any(one.name == "governor" and one.value == _STILL for one in circumstances)
    if clock_hz is None or asked_hz is None or not still or clock_hz >= asked_hz * (1 - SHORTFALL_LIMIT):
        return Weighed()
    sentence = f"the processor ran at {clock_hz / 1e6:.0f} MHz where {asked_hz / 1e6:.0f} MHz were asked for"
    return Weighed(evidence=(sentence,))


def _value(readings: Sequence[Reading], name: str) -> float | None:
    return next((one.value for one in readings if one.name == name and one.value is not None), None)
