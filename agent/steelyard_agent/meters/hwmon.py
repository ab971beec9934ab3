"""The chips under /sys/class/hwmon. Their numbers move between boots: a chip is known by its driver's name only."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import list_names, text_or_empty

HWMON_FOLDER = "/sys/class/hwmon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One hwmon device: its folder, the name that its driver gave, and the names of its files."""

    folder: str
    driver: str
    files: frozenset[str]


def find_chips(system: System) -> tuple[list[Chip], str]:
    """Return every chip, and why the folder could not be read ("" when it could)."""
    names, reason = list_names(system, HWMON_FOLDER)
    chips = []
    for name in names:
        folder = f"{HWMON_FOLDER}/{name}"
        files, _ = list_names(system, folder)
        driver = text_or_empty(system, f"{folder}/name") or "name not told"
        chips.append(Chip(folder=folder, driver=driver, files=frozenset(files)))
    return chips, reason
