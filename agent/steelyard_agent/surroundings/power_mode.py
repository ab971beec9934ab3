"""The power mode of a Jetson: which cores are on and how fast each part may run.

Source: NVIDIA Jetson Linux Developer Guide, "Supported modes and power efficiency" (nvpmodel).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from steelyard_agent.commands import CommandAnswer
from steelyard_agent.meters.contract import System
from steelyard_agent.surroundings.contract import Circumstance, Weighed

POWER_MODE = "power_mode"
_COMMAND = ("nvpmodel", "-q")


class JetsonPowerMode:
    """Reads ``power_mode``; a Jetson whose nvpmodel gives no answer when this is made is not asked again."""

    def __init__(self, system: System) -> None:
        self._system = system
        first = system.run_command(_COMMAND)
        self._refused = _circumstance(first) if parse_power_mode(first.text) == "" else None

    def read(self) -> list[Circumstance]:
        """Ask nvpmodel; a subprocess."""
        return [self._refused or _circumstance(self._system.run_command(_COMMAND))]

    def objection(self, before: Sequence[Circumstance], after: Sequence[Circumstance]) -> str:
        """Return "": a mode that changed is evidence of throttling, see ``weigh_power_mode``."""
        return ""


def parse_power_mode(text: str) -> str:
    """Return "MAXN" of "NV Power Mode: MAXN", "" for a text without it."""
    match = re.search(r"NV Power Mode:[ \t]*(\S[^\n]*)", text)
    return match.group(1).strip() if match else ""


def weigh_power_mode(before: Sequence[Circumstance], after: Sequence[Circumstance]) -> Weighed:
    """Return the evidence that the power mode changed during the block."""
    first, last = _mode(before), _mode(after)
    if first is None or last is None or first == last:
        return Weighed()
    return Weighed(evidence=(f"the power mode changed from {first} to {last} during the block",))


def _mode(circumstances: Sequence[Circumstance]) -> str | None:
    return next((one.value for one in circumstances if one.name == POWER_MODE), None)


def _circumstance(answer: CommandAnswer) -> Circumstance:
    mode = parse_power_mode(answer.text)
    if mode:
        return Circumstance(name=POWER_MODE, value=mode)
    return Circumstance(name=POWER_MODE, value=None, reason=answer.reason or f"{' '.join(_COMMAND)} named no mode")
