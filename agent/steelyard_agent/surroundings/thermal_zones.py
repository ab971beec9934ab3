"""Thermal zones near the trip point at which the kernel slows the processor down.

Sources: Documentation/driver-api/thermal/{sysfs-api,power_allocator,x86_pkg_temperature_thermal}.rst of Linux. Trip
points are the device's own, read when the agent starts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, list_names, read_number, text_or_empty
from steelyard_agent.meters.temperature import THERMAL_FOLDER, checked_cel, is_gpu_zone, is_processor_zone
from steelyard_agent.meters.trip_points import read_trip_points
from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.cooling_kinds import CoolingKind, cooling_kind

# Steps of sensors and the time between two looks: what stands this near may have been over it.
NEAR_CEL = 2.0
# Its trip points are thresholds that any program may set to be told of a temperature; nothing is slowed down there.
_NOTIFIES_ONLY = "x86_pkg_temp"

ZoneMark = tuple["float | str", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zone:
    name: str
    passive_cel: float
    is_processor: bool
    file: str


class ThermalZones:
    """Zones with a passive trip point; the mark is each zone's temperature, or why it cannot be read."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._zones = _find_zones(system)

    def look(self) -> ZoneMark:
        """Read every zone."""
        return tuple(_read(self._system, zone.file) for zone in self._zones)

    def weigh(self, before: ZoneMark, after: ZoneMark, latency_ns: Sequence[int]) -> Weighed:
        """Return the zones that came near their trip point; processor's zones that all stayed away rule it out."""
        evidence, reasons = [], []
        cool, unseen = False, False
        for zone, first, last in zip(self._zones, before, after, strict=True):
            temperatures = [one for one in (first, last) if not isinstance(one, str)]
            hottest = max(temperatures, default=None)
            if hottest is not None and hottest >= zone.passive_cel - NEAR_CEL:
                evidence.append(
                    f"{zone.name} was at {hottest:.1f} C; it slows the device down from {zone.passive_cel:g} C on"
                )
            elif len(temperatures) == 2:
                cool = cool or zone.is_processor
            else:
                unseen = unseen or zone.is_processor
                reasons.append(next(one for one in (first, last) if isinstance(one, str)))
        # A cool cluster does not speak for one whose zone cannot be read.
        ruled_out = cool and not unseen and not evidence
        return Weighed(evidence=tuple(evidence), not_looked_at=tuple(reasons), rules_out=ruled_out)


def slowing_zones(system: System) -> list[tuple[str, float]]:
    """Return each zone that slows the device down, with the degrees Celsius from which on."""
    return [(zone.name, zone.passive_cel) for zone in _find_zones(system)]


def _find_zones(system: System) -> list[_Zone]:
    names, _ = list_names(system, THERMAL_FOLDER)
    zones = []
    for name in names:
        if re.fullmatch(r"thermal_zone[0-9]+", name):
            folder = f"{THERMAL_FOLDER}/{name}"
            kind = text_or_empty(system, f"{folder}/type")
            bound = _bound(system, folder)
            passive_cel = _passive_cel(system, folder, kind, bound)
            if passive_cel is not None:
                cools_processor = CoolingKind.PROCESSOR in bound.values()
                zones.append(
                    _Zone(
                        name=kind or name,
                        passive_cel=passive_cel,
                        is_processor=cools_processor or is_processor_zone(kind),
                        file=f"{folder}/temp",
                    )
                )
    return zones


def _bound(system: System, folder: str) -> dict[int, CoolingKind | None]:
    """Return what is bound to each trip point, by its number; None where that slows nothing down."""
    names, _ = list_names(system, folder)
    bound: dict[int, CoolingKind | None] = {}
    for name in names:
        if re.fullmatch(r"cdev[0-9]+_trip_point", name):
            number = text_or_empty(system, f"{folder}/{name}")
            kind = cooling_kind(text_or_empty(system, f"{folder}/{name.removesuffix('_trip_point')}/type"))
            if number.isdigit():
                bound[int(number)] = bound.get(int(number)) or kind
    return bound


def _passive_cel(system: System, folder: str, kind: str, bound: dict[int, CoolingKind | None]) -> float | None:
    """Return where slowing down begins, None where it never does.

    What is bound to a trip point decides: a Jetson has a passive one at 70 C that only says that the case is hot, a
    battery's slows charging down. Where nothing is bound the zone's name decides. Under the power allocator the first
    passive trip point only switches control on; the last is what it holds.
    """
    passive = [trip for trip in read_trip_points(system, folder) if trip.kind == "passive"]
    if bound:
        passive = [trip for trip in passive if bound.get(trip.number) is not None]
    elif kind == _NOTIFIES_ONLY or not (is_processor_zone(kind) or is_gpu_zone(kind)):
        return None
    temperatures = [trip.temperature_cel for trip in passive]
    if text_or_empty(system, f"{folder}/policy") == "power_allocator":
        return max(temperatures, default=None)
    return min(temperatures, default=None)


def _read(system: System, file: str) -> float | str:
    try:
        return checked_cel(read_number(system, file) / 1000, file)
    except SourceError as error:
        return str(error)
