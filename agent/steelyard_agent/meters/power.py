"""Power and energy of the device: RAPL counters and allow-listed hwmon chips."""

from __future__ import annotations

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.hwmon import HWMON_FOLDER
from steelyard_agent.meters.hwmon_power import find_hwmon_sources
from steelyard_agent.meters.power_source import FoundSources, SourceReader, read_source
from steelyard_agent.meters.rapl import POWERCAP_FOLDER, find_rapl_sources
from steelyard_agent.readings import Kind, Reading, Scope, unavailable


def find_power_sources(system: System) -> FoundSources:
    """Return every source that answers, and an unavailable reading for each that does not.

    Never raises. With no candidate at all ``missing`` holds one reading "power" that says where we looked.
    """
    rapl, rapl_reason = find_rapl_sources(system)
    hwmon, drivers, hwmon_reason = find_hwmon_sources(system)
    sources, missing = rapl.sources + hwmon.sources, rapl.missing + hwmon.missing
    if not sources and not missing:
        missing = (_nothing(rapl_reason, drivers, hwmon_reason),)
    return FoundSources(sources=sources, missing=missing)


class PowerMeter:
    """Reads power in W and energy counters in J, one reading a source; sources are never added up."""

    name = "power"

    def __init__(self, system: System) -> None:
        self._system = system
        self._readers: list[SourceReader] = []

    def probe(self) -> list[Reading]:
        """Look for sources and read each once; never raises, at least one reading."""
        self.close()
        found = find_power_sources(self._system)
        self._readers = [SourceReader(self._system, source) for source in found.sources]
        return self.read() + list(found.missing)

    def read(self) -> list[Reading]:
        """Read the sources of the last probe."""
        return [read_source(reader) for reader in self._readers]

    def close(self) -> None:
        """Give the descriptors back."""
        for reader in self._readers:
            reader.close()
        self._readers = []


def _nothing(rapl_reason: str, drivers: tuple[str, ...], hwmon_reason: str) -> Reading:
    powercap = f"{POWERCAP_FOLDER} ({rapl_reason})" if rapl_reason else POWERCAP_FOLDER
    seen = f"drivers found: {', '.join(drivers)}" if drivers else hwmon_reason or "no drivers"
    reason = f"no sensor; looked at {powercap}, {HWMON_FOLDER} ({seen})"
    return unavailable("power", reason=reason, source=POWERCAP_FOLDER, scope=Scope.SYSTEM, unit="W", kind=Kind.SAMPLED)
