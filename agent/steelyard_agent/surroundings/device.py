"""The surroundings of this device's blocks: every source that it has, looked at before and after.

What a look costs: reading files takes some milliseconds at most. A Raspberry Pi starts vcgencmd twice, a Jetson
nvpmodel once, an Android that lets us ask dumpsys three times and settings once; a program that gave no answer once is
not asked again. No look falls into the time of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.family import is_jetson, is_raspberry_pi
from steelyard_agent.meters.frequency import FrequencyMeter
from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.readings import Reading
from steelyard_agent.surroundings.android_facts import api_level
from steelyard_agent.surroundings.android_thermal import AndroidThermal
from steelyard_agent.surroundings.contract import (
    BlockSurroundings,
    Circumstance,
    CircumstanceSource,
    ThrottleReport,
    ThrottleSource,
)
from steelyard_agent.surroundings.cooling import CoolingDevices
from steelyard_agent.surroundings.frequency_limits import FrequencyLimits
from steelyard_agent.surroundings.intel_throttle import IntelThrottle
from steelyard_agent.surroundings.over_current import OverCurrent
from steelyard_agent.surroundings.pi_firmware import PiFirmware
from steelyard_agent.surroundings.power_mode import JetsonPowerMode, weigh_power_mode
from steelyard_agent.surroundings.processor_state import ProcessorState
from steelyard_agent.surroundings.real_clock import weigh_clock
from steelyard_agent.surroundings.slowdown import weigh_slowdown
from steelyard_agent.surroundings.thermal_zones import ThermalZones
from steelyard_agent.surroundings.time_in_state import TimeInState
from steelyard_agent.surroundings.verdict import judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look saw; ``marks`` are those of the throttle sources, in their order."""

    readings: tuple[Reading, ...]
    circumstances: tuple[Circumstance, ...]
    marks: tuple[object, ...]


class DeviceSurroundings:
    """Looks at temperature, frequency, throttling and circumstances; all is probed once, when this is made.

    ``sources`` are circumstances beside the processor's and a Jetson's, ``throttle_sources`` evidence beside that of
    ``find_throttle_sources``.
    """

    def __init__(
        self,
        system: System,
        sources: Sequence[CircumstanceSource] = (),
        throttle_sources: Sequence[ThrottleSource[Any]] = (),
    ) -> None:
        # Heartbeats have a meter of their own: looks are taken in a thread, and a meter serves one thread at a time.
        self._temperature = TemperatureMeter(system)
        self._meters = (TemperatureMeter(system), FrequencyMeter(system))
        for meter in (self._temperature, *self._meters):
            meter.probe()
        own: list[CircumstanceSource] = [ProcessorState(system)]
        if is_jetson(system):
            own.append(JetsonPowerMode(system))
        self._sources = (*own, *sources)
        self._throttle_sources = (*find_throttle_sources(system), *throttle_sources)

    def read_temperature(self) -> list[Reading]:
        """Return the temperatures alone, for heartbeats."""
        return self._temperature.read()

    def look(self) -> Look:
        """Look now."""
        return Look(
            readings=tuple(reading for meter in self._meters for reading in meter.read()),
            circumstances=tuple(one for source in self._sources for one in source.read()),
            marks=tuple(source.look() for source in self._throttle_sources),
        )

    def compare(self, before: object, after: object, latency_ns: Sequence[int]) -> BlockSurroundings:
        """Return what two looks say about the block between them."""
        assert isinstance(before, Look)
        assert isinstance(after, Look)
        objections = (source.objection(before.circumstances, after.circumstances) for source in self._sources)
        return BlockSurroundings(
            readings=(*_named(before.readings, "before"), *_named(after.readings, "after")),
            throttle=self._judge(before, after, latency_ns),
            circumstances=after.circumstances,
            not_valid="; ".join(one for one in objections if one),
        )

    def _judge(self, before: Look, after: Look, latency_ns: Sequence[int]) -> ThrottleReport:
        sources = zip(self._throttle_sources, before.marks, after.marks, strict=True)
        weighed = [source.weigh(first, last, latency_ns) for source, first, last in sources]
        weighed += [weigh_clock(look.readings, look.circumstances) for look in (before, after)]
        weighed.append(weigh_power_mode(before.circumstances, after.circumstances))
        return judge([*weighed, weigh_slowdown(latency_ns)])


def find_throttle_sources(system: System) -> tuple[ThrottleSource[Any], ...]:
    """Return every kind of evidence, programs only where the device is of their family."""
    found: list[ThrottleSource[Any]] = [
        ThermalZones(system),
        CoolingDevices(system),
        IntelThrottle(system),
        OverCurrent(system),
        FrequencyLimits(system),
        TimeInState(system),
    ]
    if is_raspberry_pi(system):
        found.append(PiFirmware(system))
    if api_level(system) is not None:
        found.append(AndroidThermal(system))
    return tuple(found)


def _named(readings: Sequence[Reading], when: str) -> list[Reading]:
    return [replace(reading, name=f"{reading.name}_{when}") for reading in readings]
