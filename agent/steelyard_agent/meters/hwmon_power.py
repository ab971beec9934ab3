"""Power from hwmon, by allow-list: a driver that is not named here is never believed.

A reader of every ``in`` times ``curr`` invents power: a USB-PD port (driver ``ucsi_source_psy_*``) shows what was
negotiated, not what flows; ``in4`` to ``in6`` of an INA3221 are the drops over its shunts; ``rp1_adc`` of a Raspberry
Pi 5 is a general converter.
"""

from __future__ import annotations

from collections.abc import Callable

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import HWMON_FOLDER, Chip, find_chips
from steelyard_agent.meters.ina2xx import INA2XX_DRIVERS, find_ina2xx, find_ina260
from steelyard_agent.meters.ina3221 import find_ina3221
from steelyard_agent.meters.power_source import FoundSources, PowerSource, sort_answering
from steelyard_agent.readings import Scope


def find_hwmon_sources(system: System) -> FoundSources:
    """Return the sources that answer, a module's own before rails, and those that do not. Never raises."""
    chips, reason = find_chips(system)
    candidates: list[PowerSource] = []
    for chip in chips:
        finder = _DRIVERS.get(chip.driver)
        candidates += finder(system, chip) if finder else []
    found = sort_answering(system, sorted(candidates, key=lambda source: source.scope is not Scope.MODULE))
    drivers = sorted({chip.driver for chip in chips})
    seen = f"drivers found: {', '.join(drivers)}" if drivers else reason or "no drivers"
    return FoundSources(sources=found.sources, missing=found.missing, looked_at=(f"{HWMON_FOLDER} ({seen})",))


# The allow-list: a driver's name and how its channels are read. A new driver is one line and its finder.
_DRIVERS: dict[str, Callable[[System, Chip], list[PowerSource]]] = {
    **dict.fromkeys(INA2XX_DRIVERS, find_ina2xx),
    "ina260": find_ina260,
    "ina3221": find_ina3221,
}
