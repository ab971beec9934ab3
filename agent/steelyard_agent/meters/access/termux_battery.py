"""Access "termux-battery": what Termux:API tells of the battery, as JSON; raw values are picowatts.

``current`` is BatteryManager's in microamperes, ``voltage`` is in millivolts and told by versions since 2025.
Termux:API multiplies a current below 1000 by 1000, taking it for milliamperes: of a vendor who counts in milliamperes
currents below 1 A come out right and those above it a thousand times too small.
"""

from __future__ import annotations

import json

from steelyard_agent.meters.access.battery_checks import charger_reason, discharge_power_pw
from steelyard_agent.meters.access.program_reader import ProgramReader
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError

RUNS_PROGRAM = True
COMMAND = ("termux-battery-status",)


def open_reader(system: System, addresses: tuple[str, ...]) -> ProgramReader:
    """Return a reader that runs the command ``addresses``, which asks the app Termux:API."""
    return ProgramReader(system, addresses, power_pw)


def power_pw(text: str) -> int:
    """Return the picowatts of an answer of ``termux-battery-status``.

    Raises:
        SourceError: the answer lacks a value, is absurd, or says that the device is plugged in.
    """
    place = " ".join(COMMAND)
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError("not_json", f"{place} said {text[:60]!r}, which is no JSON; is Termux:API alive?") from error
    if not isinstance(told, dict):
        raise SourceError("not_json", f"{place} said {text[:60]!r}, which is no JSON object")
    plugged = told.get("plugged")
    # Not "status": phones were seen that say NOT_CHARGING without any cable.
    if plugged != "UNPLUGGED":
        raise SourceError("charging", charger_reason(place, str(plugged)))
    current_ua, voltage_mv = told.get("current"), told.get("voltage")
    if type(current_ua) is not int:
        raise SourceError("missing", f"{place} tells no current: this device does not measure it")
    if type(voltage_mv) is not int:
        raise SourceError("missing", f"{place} tells no voltage; update the app Termux:API")
    return discharge_power_pw(current_ua, voltage_mv * 1000, place)
