"""The chips under /sys/class/hwmon. Their numbers move between boots: a chip is known by its driver's name only."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, label_or_empty, list_names, read_number

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
        driver = label_or_empty(system, f"{folder}/name") or "name not told"
        chips.append(Chip(folder=folder, driver=driver, files=frozenset(files)))
    return chips, reason


def positive_or_none(system: System, file: str) -> int | None:
    """Return the number in a file, None when there is none above 0: a shunt that was not told is not made up."""
    try:
        number = read_number(system, file)
    except SourceError:
        return None
    return number if number > 0 else None


def update_interval_s(system: System, chip: Chip) -> float | None:
    """Return over how many seconds the chip averages before it renews its values, None when it does not tell.

    ``update_interval`` is in milliseconds: conversion times, by the number of samples averaged and of channels.
    """
    if "update_interval" not in chip.files:
        return None
    interval_ms = positive_or_none(system, f"{chip.folder}/update_interval")
    return None if interval_ms is None else min(interval_ms, 60_000) / 1000
