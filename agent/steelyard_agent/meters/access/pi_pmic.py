"""Access "pi-pmic": the power chip of a Raspberry Pi 5 through ``vcgencmd pmic_read_adc``; raw values are microwatts.

It prints a line for each channel, ``VDD_CORE_A current(7)=1.11625000A`` or ``VDD_CORE_V volt(15)=0.74944980V``.
"""

from __future__ import annotations

import re

from steelyard_agent.meters.access.program_reader import ProgramReader
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError

RUNS_PROGRAM = True
COMMAND = ("vcgencmd", "pmic_read_adc")

_CHANNEL = re.compile(r"(\w+)_([AV])\s+(?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)\2")
# The board's input and the clock's battery: told in volts only. Were a firmware to tell their current, adding the input
# to the rails that it feeds would count everything twice.
_NEVER_ADDED = frozenset({"EXT5V", "BATT"})


def open_reader(system: System, addresses: tuple[str, ...]) -> ProgramReader:
    """Return a reader that runs the command ``addresses``: about 23 ms a read on a Pi 5."""
    return ProgramReader(system, addresses, rails_power_uw)


def rails_power_uw(text: str) -> int:
    """Return the microwatts of all rails that tell both volts and amperes.

    Raises:
        SourceError: there is no such rail.
    """
    rails = rail_powers_w(text)
    if not rails:
        said = " ".join(text.split())[:80]
        raise SourceError("no_rails", f"{' '.join(COMMAND)} told no rail's volts and amperes: {said!r}")
    return round(sum(rails.values()) * 1e6)


def rail_powers_w(text: str) -> dict[str, float]:
    """Return watts by rail, of the rails that have volts and amperes; other lines are passed over."""
    channels: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        match = _CHANNEL.fullmatch(line.strip())
        if match and match[1] not in _NEVER_ADDED:
            channels.setdefault(match[1], {})[match[2]] = float(match[3])
    return {rail: told["A"] * told["V"] for rail, told in channels.items() if len(told) == 2}
