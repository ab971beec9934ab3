"""The triple power chip of Jetson boards with JetPack 4: NVIDIA's own driver ina3221x, under the IIO subsystem.

``/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input`` is in milliwatts and ``rail_name_0`` its label.
Rails are believed by name only. Sources: NVIDIA's L4T 32 device trees and Jetson developer guide.
"""

from __future__ import annotations

import re

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.power_source import FoundSources, PowerSource, sort_answering
from steelyard_agent.meters.rails import rail_scope, reading_name
from steelyard_agent.meters.sysfs import label_or_empty, list_names
from steelyard_agent.readings import Kind, Scope

IIO_FOLDER = "/sys/bus/i2c/drivers/ina3221x"

_RAILS = frozenset(
    {
        *("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"),  # Nano
        *("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC", "VDD_CPU_GPU"),  # Xavier NX, TX2 NX
        *("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
        *("VDD_SYS_GPU", "VDD_SYS_SOC", "VDD_4V0_WIFI", "VDD_SYS_CPU", "VDD_SYS_DDR"),  # TX2
        *("VDD_GPU", "VDD_CPU"),  # TX1
        *("VDD_MUX", "VDD_5V0_IO_SYS", "VDD_5V_IO_SYS", "VDD_3V3_SYS"),  # carrier boards of TX1 and TX2
    }
)


def find_iio_sources(system: System) -> FoundSources:
    """Return the rails that answer, the module's own before its parts, and those that do not. Never raises."""
    found: list[PowerSource] = []
    unknown: list[str] = []
    chips, reason = list_names(system, IIO_FOLDER)
    for chip in chips:
        if not re.fullmatch(r"[0-9]+-00[0-9a-f]{2}", chip):
            continue
        for device in list_names(system, f"{IIO_FOLDER}/{chip}")[0]:
            if re.fullmatch(r"iio[:_]device[0-9]+", device):
                _collect(system, f"{IIO_FOLDER}/{chip}/{device}", found, unknown)
    answering = sort_answering(system, sorted(found, key=lambda source: source.scope is not Scope.MODULE))
    seen = reason or (f"rails found: {', '.join(unknown)}" if unknown else "no rails")
    return FoundSources(
        sources=answering.sources, missing=answering.missing, looked_at=() if reason else (f"{IIO_FOLDER} ({seen})",)
    )


def _collect(system: System, folder: str, found: list[PowerSource], unknown: list[str]) -> None:
    for channel in (0, 1, 2):
        label = label_or_empty(system, f"{folder}/rail_name_{channel}")
        if label in _RAILS:
            found.append(_rail(folder, channel, label))
        elif label:
            unknown.append(label)


def _rail(folder: str, channel: int, label: str) -> PowerSource:
    return PowerSource(
        name=reading_name(label),
        kind=Kind.SAMPLED,
        scope=rail_scope(label),
        addresses=(f"{folder}/in_power{channel}_input",),
        scale=1e-3,
        detail=f"ina3221x, {label}",
    )
