"""Energy and power of NVIDIA GPUs through NVML (package nvidia-ml-py, extra ``nvidia``). Never imported before use.

Sources: the NVML API reference (nvmlDeviceGetPowerUsage: an average over 1 s on Ampere and newer, except GA100, which
like older chips tells an instant; nvmlDeviceGetTotalEnergyConsumption: Volta and newer) and Yang, Adamek and Armour,
"Part-time Power Measurements" (arXiv:2312.02741): A100 and H100 look at a quarter of the time.
"""

from __future__ import annotations

import re
from typing import Any

from steelyard_agent.meters.access.nvml import load_nvml
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power_source import FoundSources, PowerSource, sort_answering
from steelyard_agent.meters.sysfs import SourceError, list_names
from steelyard_agent.readings import Kind, Reading, Scope, unavailable

_AMPERE = 7
# GA100, the one Ampere chip without the average of 1 s.
_GA100 = re.compile(r"\b(A100X?|A30X?|A800)\b")
_PART_TIME = re.compile(r"\b(A100X?|A800|H100|H800|GH200)\b")
_PART_TIME_CAUTION = "the sensor looks at about a quarter of the time: short or periodic loads can be misjudged"
# The GPU inside a Jetson answers NVML with its name and nothing else; its power is told by the module's INA3221.
_INTEGRATED = "nvgpu"
_LAST_COUNT = 2**64 - 1
_UPDATE_PERIOD_S = 0.1


def find_nvml_sources(system: System) -> FoundSources:
    """Return an energy counter and a power for each GPU, or why there is none; nothing without a GPU. Never raises."""
    nodes = [name for name in list_names(system, "/dev")[0] if re.fullmatch(r"nvidia[0-9]+", name)]
    if not nodes:
        return FoundSources()
    try:
        nvml = load_nvml()
    except SourceError as error:
        return FoundSources(missing=(_silent(f"/dev/{nodes[0]}", str(error)),))
    try:
        candidates, lost = _candidates(nvml)
        found = _without_echoes(sort_answering(system, candidates))
        return FoundSources(sources=found.sources, missing=(*found.missing, *lost))
    except nvml.NVMLError as error:
        return FoundSources(missing=(_silent(f"/dev/{nodes[0]}", f"NVML does not count its GPUs: {error}"),))
    finally:
        nvml.nvmlShutdown()


def _silent(gpu: str, reason: str) -> Reading:
    return unavailable(
        "gpu_power",
        reason=reason,
        source=f"NVML ({gpu})",
        scope=Scope.GPU_BOARD,
        unit="W",
        kind=Kind.SAMPLED,
    )


def _candidates(nvml: Any) -> tuple[list[PowerSource], list[Reading]]:
    """Return the sources of the GPUs that answer, and an unavailable reading for each that does not."""
    sources, lost = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            name, uuid = str(nvml.nvmlDeviceGetName(handle)), str(nvml.nvmlDeviceGetUUID(handle))
        except nvml.NVMLError as error:
            # A GPU that fell off its bus: the others still count.
            lost.append(_silent(f"GPU {index}", f"NVML says of GPU {index}: {error}; try nvidia-smi"))
            continue
        if _INTEGRATED not in name:
            sources += [_energy(index, name, uuid), _power(index, name, uuid, _architecture(nvml, handle))]
    return sources, lost


def _architecture(nvml: Any, handle: Any) -> int:
    try:
        return int(nvml.nvmlDeviceGetArchitecture(handle))
    except nvml.NVMLError:
        # Drivers before 455 do not tell; they know nothing newer than Ampere's first chip.
        return 0


def _energy(index: int, name: str, uuid: str) -> PowerSource:
    return PowerSource(
        name="gpu_energy",
        kind=Kind.COUNTER,
        scope=Scope.GPU_BOARD,
        access="nvml",
        addresses=(uuid, "energy"),
        place=f"NVML GPU {index}",
        scale=1e-3,
        detail=f"{name}, energy since the driver was loaded",
        range_max_counts=_LAST_COUNT,
        resolution=1e-3,
        caution=_PART_TIME_CAUTION if _PART_TIME.search(name) else "",
        update_period_s=_UPDATE_PERIOD_S,
    )


def _power(index: int, name: str, uuid: str, architecture: int) -> PowerSource:
    averages = architecture >= _AMPERE and not _GA100.search(name)
    return PowerSource(
        name="gpu_power",
        kind=Kind.SAMPLED,
        scope=Scope.GPU_BOARD,
        access="nvml",
        addresses=(uuid, "power"),
        place=f"NVML GPU {index}",
        scale=1e-3,
        detail=f"{name}, " + ("power averaged over 1 s" if averages else "power"),
        resolution=1e-3,
        caution=_PART_TIME_CAUTION if _PART_TIME.search(name) else "",
        averaging_s=1.0 if averages else 0.0,
        update_period_s=_UPDATE_PERIOD_S if averages else None,
        least_period_s=0.05,
    )


def _without_echoes(found: FoundSources) -> FoundSources:
    """Leave out what a GPU does not support where its other quantity answers: older chips have no energy counter."""
    answering = {source.place for source in found.sources}
    missing = tuple(one for one in found.missing if not any(one.source.startswith(f"{place} ") for place in answering))
    return FoundSources(sources=found.sources, missing=missing)
