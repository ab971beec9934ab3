"""Power from hwmon, by allow-list: a driver that is not named here is never believed.

A reader of every ``in`` times ``curr`` invents power: a USB-PD port (driver ``ucsi_source_psy_*``) shows what was
negotiated, not what flows; ``in4`` to ``in6`` of an INA3221 are the drops over its shunts; ``rp1_adc`` of a Raspberry
Pi 5 is a general converter. Sources: Documentation/hwmon/ina2xx.rst and ina3221.rst of Linux.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import Chip, find_chips
from steelyard_agent.meters.power_source import FoundSources, PowerSource, SourceReader, missing_reading
from steelyard_agent.meters.sysfs import SourceError, read_number, text_or_empty
from steelyard_agent.readings import Kind, Reading, Scope

# What the ina2xx driver assumes when nobody told it the shunt.
_DEFAULT_SHUNT_MICROOHM = 10_000
_SHUNT_CAUTION = (
    "the shunt is the driver's default of 10 mOhm: check the board (one that carries 100 mOhm reads ten times too "
    "high) and write the right value to {file}"
)
# Steps of the power register with the driver's calibration at its default shunt.
_INA2XX_RESOLUTION_W = {"ina219": 0.02, "ina220": 0.02, "ina226": 0.025, "ina230": 0.025, "ina231": 0.025}
# Rails whose reach is known by their label; any other labelled rail is one of the board's.
_RAIL_SCOPES = {"VDD_IN": Scope.MODULE, "POM_5V_IN": Scope.MODULE}
_UNCONNECTED_LABELS = frozenset({"", "NC"})


def find_hwmon_sources(system: System) -> tuple[FoundSources, tuple[str, ...], str]:
    """Return the sources, every driver's name that was seen, and why the folder could not be read ("" when it could).

    Never raises.
    """
    chips, reason = find_chips(system)
    sources: list[PowerSource] = []
    missing: list[Reading] = []
    for chip in chips:
        for source in _candidates(system, chip):
            failure = _failure(system, source)
            if failure:
                missing.append(missing_reading(source, failure))
            else:
                sources.append(source)
    drivers = tuple(sorted({chip.driver for chip in chips}))
    return FoundSources(sources=tuple(sources), missing=tuple(missing)), drivers, reason


def _candidates(system: System, chip: Chip) -> list[PowerSource]:
    finder = _DRIVERS.get(chip.driver)
    return finder(system, chip) if finder else []


def _find_ina2xx(system: System, chip: Chip) -> list[PowerSource]:
    if "power1_input" not in chip.files:
        return []
    shunt_file = f"{chip.folder}/shunt_resistor"
    shunt = _shunt_microohm(system, shunt_file) if "shunt_resistor" in chip.files else None
    label = text_or_empty(system, f"{chip.folder}/label")
    known = "shunt not told" if shunt is None else f"shunt {shunt / 1000:g} mOhm"
    return [
        PowerSource(
            name=_reading_name(label),
            kind=Kind.SAMPLED,
            scope=_RAIL_SCOPES.get(label, Scope.BOARD_RAILS),
            files=(f"{chip.folder}/power1_input",),
            scale=1e-6,
            detail=", ".join(part for part in (chip.driver, label, known) if part),
            resolution=_INA2XX_RESOLUTION_W.get(chip.driver) if shunt == _DEFAULT_SHUNT_MICROOHM else None,
            caution=_SHUNT_CAUTION.format(file=shunt_file) if shunt == _DEFAULT_SHUNT_MICROOHM else "",
        )
    ]


def _find_ina260(system: System, chip: Chip) -> list[PowerSource]:
    # Its 2 mOhm shunt is inside the chip: there is nothing to get wrong.
    label = text_or_empty(system, f"{chip.folder}/label")
    if "power1_input" not in chip.files:
        return []
    return [
        PowerSource(
            name=_reading_name(label),
            kind=Kind.SAMPLED,
            scope=_RAIL_SCOPES.get(label, Scope.BOARD_RAILS),
            files=(f"{chip.folder}/power1_input",),
            scale=1e-6,
            detail=", ".join(part for part in (chip.driver, label, "shunt in the chip") if part),
        )
    ]


def _find_ina3221(system: System, chip: Chip) -> list[PowerSource]:
    sources = []
    for channel in (1, 2, 3):
        label = text_or_empty(system, f"{chip.folder}/in{channel}_label")
        enabled = text_or_empty(system, f"{chip.folder}/in{channel}_enable") != "0"
        if label in _UNCONNECTED_LABELS or not enabled:
            continue
        sources.append(_ina3221_rail(system, chip, channel, label))
    return sources


def _ina3221_rail(system: System, chip: Chip, channel: int, label: str) -> PowerSource:
    shunt = _shunt_microohm(system, f"{chip.folder}/shunt{channel}_resistor")
    known = "shunt not told" if shunt is None else f"shunt {shunt / 1000:g} mOhm"
    return PowerSource(
        name=_reading_name(label),
        kind=Kind.SAMPLED,
        scope=_RAIL_SCOPES.get(label, Scope.BOARD_RAILS),
        # mV times mA.
        files=(f"{chip.folder}/in{channel}_input", f"{chip.folder}/curr{channel}_input"),
        scale=1e-6,
        detail=f"{chip.driver}, {label}, {known}",
    )


def _reading_name(label: str) -> str:
    rail = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return f"{rail}_power" if rail else "power"


def _shunt_microohm(system: System, file: str) -> int | None:
    try:
        shunt = read_number(system, file)
    except SourceError:
        return None
    return shunt if shunt > 0 else None


def _failure(system: System, source: PowerSource) -> str:
    reader = SourceReader(system, source)
    try:
        reader.read_raw()
    except SourceError as error:
        return str(error)
    finally:
        reader.close()
    return ""


# The allow-list: a driver's name and how its channels are read. A new driver is one line and its finder.
_DRIVERS: dict[str, Callable[[System, Chip], list[PowerSource]]] = {
    **dict.fromkeys(_INA2XX_RESOLUTION_W, _find_ina2xx),
    "ina260": _find_ina260,
    "ina3221": _find_ina3221,
}
