"""Energy counters of x86 processors: RAPL through powercap, of Intel and, under the same name, of AMD.

Source: Documentation/power/powercap/powercap.rst of Linux. ``energy_uj`` counts microjoules up to
``max_energy_range_uj`` and starts again at 0; it may be read by root only since Linux 5.10 (CVE-2020-8694). The range
is the 32 bits of the processor's register in its unit of energy (drivers/powercap/intel_rapl_common.c), so that it
tells that unit: 61.0 uJ or 15.3 uJ. Intel renews the registers about every millisecond (Software Developer's Manual,
volume 3B, RAPL domains); AMD does not say.
"""

from __future__ import annotations

import re
from dataclasses import replace

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power_source import FoundSources, PowerSource, SourceReader, missing_reading
from steelyard_agent.meters.sysfs import SourceError, list_names, read_number, text_or_empty
from steelyard_agent.readings import Kind, Reading, Scope

POWERCAP_FOLDER = "/sys/class/powercap"

# ``intel-rapl-mmio:N`` counts the package a second time through another register: a sum over all zones is double.
_ZONE = re.compile(r"intel-rapl:[0-9]+(:[0-9]+)?")
# The zone's name without its socket number, the reading's name and what the counter covers. The package includes core
# and uncore, so that these are never added to it.
_DOMAINS = {
    "package": ("package_energy", Scope.SOC),
    "core": ("core_energy", Scope.SOC),
    "uncore": ("uncore_energy", Scope.SOC),
    "dram": ("dram_energy", Scope.BOARD_RAILS),
    "psys": ("platform_energy", Scope.SYSTEM),
}
_LAST_REGISTER_COUNT = 2**32 - 1
_FILE_STEP_UJ = 1.0
_INTEL_UPDATE_PERIOD_S = 0.001
_DENIED = (
    f"permission denied on {POWERCAP_FOLDER}/intel-rapl:*/energy_uj: only root may read it (mode 0400 since Linux "
    "5.10, CVE-2020-8694); run steelyard-agent as root, or let its user read it until the next boot: "
    f"sudo chmod o+r {POWERCAP_FOLDER}/intel-rapl:*/energy_uj"
)


def find_rapl_sources(system: System) -> FoundSources:
    """Return the counters that answer and those that do not. Never raises."""
    names, reason = list_names(system, POWERCAP_FOLDER)
    sources: list[PowerSource] = []
    missing: list[Reading] = []
    for name in names:
        if _ZONE.fullmatch(name):
            _sort_zone(system, f"{POWERCAP_FOLDER}/{name}", sources, missing)
    looked_at = f"{POWERCAP_FOLDER} ({reason})" if reason else POWERCAP_FOLDER
    return FoundSources(sources=tuple(sources), missing=tuple(missing), looked_at=(looked_at,))


def _sort_zone(system: System, folder: str, sources: list[PowerSource], missing: list[Reading]) -> None:
    zone_name = text_or_empty(system, f"{folder}/name")
    unranged = _source(folder, zone_name, range_max_counts=1)
    if unranged is None:
        return
    try:
        sources.append(_answering_source(system, folder, unranged))
    except SourceError as error:
        denied = error.reason == "permission_denied"
        missing.append(missing_reading(unranged, _DENIED if denied else str(error)))


def _answering_source(system: System, folder: str, source: PowerSource) -> PowerSource:
    range_max = read_number(system, f"{folder}/max_energy_range_uj")
    if range_max <= 0:
        raise SourceError("absurd", f"{folder}/max_energy_range_uj says {range_max}: its counter cannot be used")
    step_uj = max(_FILE_STEP_UJ, range_max / _LAST_REGISTER_COUNT)
    ranged = replace(
        source,
        range_max_counts=range_max,
        resolution=step_uj * source.scale,
        update_period_s=_INTEL_UPDATE_PERIOD_S if _is_intel(system) else None,
    )
    reader = SourceReader(system, ranged)
    try:
        reader.read_raw()
    finally:
        reader.close()
    return ranged


def _source(folder: str, zone_name: str, *, range_max_counts: int) -> PowerSource | None:
    domain = _DOMAINS.get(re.sub(r"-[0-9]+(-die-[0-9]+)?$", "", zone_name))
    if domain is None:
        return None
    name, scope = domain
    return PowerSource(
        name=name,
        kind=Kind.COUNTER,
        scope=scope,
        addresses=(f"{folder}/energy_uj",),
        scale=1e-6,
        detail=f"RAPL {zone_name}",
        range_max_counts=range_max_counts,
    )


def _is_intel(system: System) -> bool:
    return (
        re.search(r"^vendor_id\s*:\s*GenuineIntel$", text_or_empty(system, "/proc/cpuinfo"), re.MULTILINE) is not None
    )
