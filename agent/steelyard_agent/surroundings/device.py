"""The surroundings of this device's blocks: every source that it has, looked at before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.frequency import FrequencyMeter
from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.readings import Reading
from steelyard_agent.surroundings.contract import BlockSurroundings, Circumstance, CircumstanceSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look saw."""

    readings: tuple[Reading, ...]
    circumstances: tuple[Circumstance, ...]


class DeviceSurroundings:
    """Looks at temperature, frequency and circumstances; meters are probed once, when this is made."""

    def __init__(self, system: System, sources: Sequence[CircumstanceSource] = ()) -> None:
        self._meters = (TemperatureMeter(system), FrequencyMeter(system))
        for meter in self._meters:
            meter.probe()
        self._sources = tuple(sources)

    def read_temperature(self) -> list[Reading]:
        """Return the temperatures alone, for heartbeats."""
        return self._meters[0].read()

    def look(self) -> Look:
        """Look now."""
        return Look(
            readings=tuple(reading for meter in self._meters for reading in meter.read()),
            circumstances=tuple(one for source in self._sources for one in source.read()),
        )

    def compare(self, before: object, after: object, latency_ns: Sequence[int]) -> BlockSurroundings:
        """Return what two looks say about the block between them."""
        assert isinstance(before, Look)
        assert isinstance(after, Look)
        objections = (source.objection(before.circumstances, after.circumstances) for source in self._sources)
        return BlockSurroundings(
            readings=(*_named(before.readings, "before"), *_named(after.readings, "after")),
            circumstances=after.circumstances,
            not_valid="; ".join(one for one in objections if one),
        )


def _named(readings: Sequence[Reading], when: str) -> list[Reading]:
    return [replace(reading, name=f"{reading.name}_{when}") for reading in readings]
