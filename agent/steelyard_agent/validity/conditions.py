"""What the gate looks at, read at one moment. Every value is a value or the sentence that says why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard_agent.cores import parse_core_list
from steelyard_agent.meters.battery_power import SUPPLIES_FOLDER
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import find_policies, policy_file, policy_text
from steelyard_agent.meters.sysfs import SourceError, list_names, read_text, text_or_empty
from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.validity.processor_load import ProcessorTimes, read_processor_times

_MEMORY = "/proc/meminfo"
_PRESSURE = "/proc/pressure/memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """The charge of the device's own battery, 0 to 1, and whether it rises."""

    charge: float
    is_charging: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """One look. A text stands for a value that cannot be read.

    ``temperature_c`` is the hottest sensor of the processor. ``memory_stall`` is the share of the last 10 s in which
    something waited for memory. ``battery`` None: the device has none. ``governors`` are the cores by governor.
    """

    at_s: float
    temperature_c: float | str
    processor: ProcessorTimes | str
    available_bytes: int | str
    memory_stall: float | str
    battery: Battery | str | None = None
    governors: Mapping[str, tuple[int, ...]] | str = field(default_factory=dict)


class DeviceConditions:
    """The conditions of this device; ``is_ours``: the agent runs on it, so that its own CPU time is not that of others.

    A meter serves one thread at a time: one look after the other.
    """

    def __init__(self, system: System, *, is_ours: bool = True) -> None:
        self._system = system
        self._is_ours = is_ours
        self._temperature = TemperatureMeter(system)
        told = [one for one in self._temperature.probe() if one.name == "cpu_temperature"]
        self._no_sensor = told[0].reason if told else "no sensor of the processor"

    def look(self) -> Conditions:
        """Look now; blocks for some milliseconds and never raises."""
        return Conditions(
            at_s=self._system.clock_ns() / 1e9,
            temperature_c=self._hottest_c(),
            processor=read_processor_times(self._system, is_ours=self._is_ours),
            available_bytes=_available_bytes(self._system),
            memory_stall=_memory_stall(self._system),
            battery=_battery(self._system),
            governors=_governors(self._system),
        )

    def _hottest_c(self) -> float | str:
        readings = [one for one in self._temperature.read() if one.name == "cpu_temperature"]
        told = [one.value for one in readings if one.value is not None]
        if told:
            return max(told)
        return readings[0].reason if readings else self._no_sensor


def _available_bytes(system: System) -> int | str:
    try:
        match = re.search(r"^MemAvailable:\s*([0-9]+) kB$", read_text(system, _MEMORY), re.MULTILINE)
    except SourceError as error:
        return str(error)
    return int(match.group(1)) * 1024 if match else f"{_MEMORY} has no MemAvailable"


def _memory_stall(system: System) -> float | str:
    try:
        match = re.search(r"^some avg10=([0-9]+\.[0-9]+) ", read_text(system, _PRESSURE), re.MULTILINE)
    except SourceError as error:
        return str(error)
    return float(match.group(1)) / 100 if match else f"{_PRESSURE} has no average of 10 s"


def _battery(system: System) -> Battery | str | None:
    names, reason = list_names(system, SUPPLIES_FOLDER)
    if reason and reason != "not there":
        return f"{SUPPLIES_FOLDER}: {reason}"
    for name in names:
        folder = f"{SUPPLIES_FOLDER}/{name}"
        # A mouse or a pen has the scope "Device".
        if text_or_empty(system, f"{folder}/type") != "Battery" or text_or_empty(system, f"{folder}/scope") == "Device":
            continue
        charge = text_or_empty(system, f"{folder}/capacity")
        if not (charge.isdigit() and int(charge) <= 100):
            return f"{folder}/capacity says {charge[:40]!r}, not 0 to 100"
        status = text_or_empty(system, f"{folder}/status")
        return Battery(charge=int(charge) / 100, is_charging=status in ("Charging", "Full"))
    return None


def _governors(system: System) -> dict[str, tuple[int, ...]] | str:
    policies, reason = find_policies(system)
    if not policies:
        return f"no cpufreq ({reason or 'no policies'})"
    cores: dict[str, tuple[int, ...]] = {}
    for policy in policies:
        governor = policy_text(system, policy, "scaling_governor")
        if not governor:
            return f"{policy_file(policy, 'scaling_governor')} cannot be read"
        try:
            of_policy = parse_core_list(policy_text(system, policy, "related_cpus").replace(" ", ","))
        except ValueError:
            of_policy = (int(policy.removeprefix("policy")),)
        cores[governor] = (*cores.get(governor, ()), *of_policy)
    return cores
