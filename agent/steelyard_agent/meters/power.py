"""Power and energy of the device: RAPL, hwmon and IIO chips, a Pi's power chip, a phone's battery, NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Callable

from steelyard_agent.meters.battery_power import find_battery_source
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon_power import find_hwmon_sources
from steelyard_agent.meters.ina3221_iio import find_iio_sources
from steelyard_agent.meters.nvml_power import find_nvml_sources
from steelyard_agent.meters.pi_pmic import find_pi_pmic_source
from steelyard_agent.meters.power_source import FoundSources, PowerSource, SourceReader, read_source
from steelyard_agent.meters.rapl import POWERCAP_FOLDER, find_rapl_sources
from steelyard_agent.readings import Kind, Reading, Scope, unavailable

# A new kind of source is one file and one line here. The order is that of the readings.
_FINDERS: tuple[Callable[[System], FoundSources], ...] = (
    find_rapl_sources,
    find_hwmon_sources,
    find_iio_sources,
    find_pi_pmic_source,
    find_battery_source,
    find_nvml_sources,
)


def find_power_sources(system: System) -> FoundSources:
    """Return every source that answers, and an unavailable reading for each that does not.

    Never raises. With no candidate at all ``missing`` holds one reading "power" that says where we looked.
    """
    parts = [finder(system) for finder in _FINDERS]
    sources = tuple(source for part in parts for source in part.sources)
    missing = tuple(reading for part in parts for reading in part.missing)
    looked_at = tuple(place for part in parts for place in part.looked_at)
    if not sources and not missing:
        missing = (_nothing(looked_at),)
    return FoundSources(sources=sources, missing=missing, looked_at=looked_at)


class PowerMeter:
    """Reads power in W and energy counters in J, one reading a source; sources are never added up."""

    name = "power"

    def __init__(self, system: System) -> None:
        self._system = system
        self._readers: list[SourceReader] = []
        # Of the last probe.
        self.sources: tuple[PowerSource, ...] = ()

    def probe(self) -> list[Reading]:
        """Look for sources and read each once; never raises, at least one reading."""
        self.close()
        found = find_power_sources(self._system)
        self.sources = found.sources
        self._readers = [SourceReader(self._system, source) for source in found.sources]
        return self.read() + list(found.missing)

    def read(self) -> list[Reading]:
        """Read the sources of the last probe."""
        return [read_source(reader) for reader in self._readers]

    def close(self) -> None:
        """Give back what the readers keep."""
        for reader in self._readers:
            reader.close()
        self._readers = []


def _nothing(looked_at: tuple[str, ...]) -> Reading:
    reason = f"no sensor; looked at {', '.join(looked_at)}"
    return unavailable("power", reason=reason, source=POWERCAP_FOLDER, scope=Scope.SYSTEM, unit="W", kind=Kind.SAMPLED)
