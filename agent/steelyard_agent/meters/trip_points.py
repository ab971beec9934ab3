"""The trip points of thermal zones: at which temperature the kernel does what.

Source: Documentation/driver-api/thermal/sysfs-api.rst of Linux; thousandths of a degree Celsius. "passive" slows a part
down, "active" starts a fan, "hot" tells a driver, "critical" switches the device off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, list_names, read_number, text_or_empty

# Drivers disable a trip point with 0, -274000 or a value that no silicon reaches.
_LOWEST_TRIP_CEL = 1.0
_HIGHEST_TRIP_CEL = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TripPoint:
    """One trip point that is in force; ``number`` is the kernel's, ``kind`` its word for it."""

    number: int
    kind: str
    temperature_cel: float


def read_trip_points(system: System, zone_folder: str) -> tuple[TripPoint, ...]:
    """Return a zone's trip points in the kernel's order, without those that are disabled or unreadable."""
    names, _ = list_names(system, zone_folder)
    trips = []
    for name in names:
        if match := re.fullmatch(r"trip_point_([0-9]+)_temp", name):
            temperature_cel = _temperature(system, f"{zone_folder}/{name}")
            number = int(match.group(1))
            kind = text_or_empty(system, f"{zone_folder}/trip_point_{number}_type")
            if temperature_cel is not None and kind:
                trips.append(TripPoint(number=number, kind=kind, temperature_cel=temperature_cel))
    return tuple(trips)


def trips_text(trips: tuple[TripPoint, ...]) -> str:
    """Return "trips: passive 80, critical 110", "" for none; a kind with several has them joined by a slash."""
    by_kind: dict[str, list[str]] = {}
    for trip in trips:
        by_kind.setdefault(trip.kind, []).append(f"{trip.temperature_cel:g}")
    parts = [f"{kind} {'/'.join(dict.fromkeys(texts))}" for kind, texts in by_kind.items()]
    return f"trips: {', '.join(parts)}" if parts else ""


def _temperature(system: System, file: str) -> float | None:
    try:
        temperature_cel = read_number(system, file) / 1000
    except SourceError:
        return None
    return temperature_cel if _LOWEST_TRIP_CEL <= temperature_cel <= _HIGHEST_TRIP_CEL else None
