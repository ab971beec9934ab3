"""Android's thermal service, where this process may ask it.

Source: android.os.PowerManager, THERMAL_STATUS_NONE (0) to THERMAL_STATUS_SHUTDOWN (6); printed by dumpsys, which wants
android.permission.DUMP of an app such as Termux.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.surroundings.contract import Weighed

_COMMAND = ("dumpsys", "thermalservice")
_NAMES = ("NONE", "LIGHT", "MODERATE", "SEVERE", "CRITICAL", "EMERGENCY", "SHUTDOWN")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalStatus:
    """Android's status, 0 to 6; None with the ``reason``."""

    status: int | None
    reason: str = ""


class AndroidThermal:
    """The thermal status; a service that refuses when this is made is not asked again."""

    def __init__(self, system: System) -> None:
        self._system = system
        first = read_status(system)
        self._refused = first if first.status is None else None

    def look(self) -> ThermalStatus:
        """Ask for the status; a subprocess."""
        return self._refused or read_status(self._system)

    def weigh(self, before: ThermalStatus, after: ThermalStatus, latency_ns: Sequence[int]) -> Weighed:
        """Return a status above NONE, which Android defines as throttling; NONE at both looks rules it out."""
        if before.status is None or after.status is None:
            return Weighed(not_looked_at=(before.reason or after.reason,))
        if after.status > before.status:
            names = f"{_NAMES[before.status]} to {_NAMES[after.status]}"
            return Weighed(evidence=(f"Android's thermal status rose from {names}",))
        if before.status > 0:
            return Weighed(evidence=(f"Android's thermal status was {_NAMES[before.status]} already",))
        return Weighed(rules_out=True)


def read_status(system: System) -> ThermalStatus:
    """Ask the service for its status; a subprocess."""
    answer = system.run_command(_COMMAND)
    if answer.output is None:
        return ThermalStatus(status=None, reason=answer.reason)
    return parse_status(answer.output)


def parse_status(text: str) -> ThermalStatus:
    """Return the status of what ``dumpsys thermalservice`` printed, or the reason why it holds none."""
    shown = " ".join(_COMMAND)
    if "Permission Denial" in text:
        reason = f"{shown}: permission denied, this app does not have android.permission.DUMP"
        return ThermalStatus(status=None, reason=reason)
    if re.search(r"^\s*HAL Ready: false", text, re.MULTILINE):
        return ThermalStatus(status=None, reason=f"{shown}: this phone's thermal HAL is not ready and tells nothing")
    match = re.search(r"^\s*Thermal Status: ([0-6])\s*$", text, re.MULTILINE)
    if match is None:
        return ThermalStatus(status=None, reason=f"{shown} printed no thermal status")
    return ThermalStatus(status=int(match.group(1)))
