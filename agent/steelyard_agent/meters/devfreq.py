"""Clocks of GPUs and other parts under devfreq.

Source: Documentation/ABI/testing/sysfs-class-devfreq of Linux; frequencies are Hz.
"""

from __future__ import annotations

import re

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import NumberFile, SourceError, list_names, text_or_empty
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable

DEVFREQ_FOLDER = "/sys/class/devfreq"

# Names of device-tree nodes: 57000000.gpu and 17000000.ga10b (Tegra), fb000000.gpu (Mali), 5000000.qcom,kgsl-3d0.
_GPU = re.compile(r".*(gpu|ga10b|gv11b|gp10b|gm20b|mali|kgsl).*", re.IGNORECASE)
_NPU = re.compile(r".*npu.*", re.IGNORECASE)
_MEMORY = re.compile(r".*(dmc|emc|ddr|memory|actmon|cpubw|bwmon|llcc).*", re.IGNORECASE)
_HIGHEST_HZ = 20_000_000_000


class DevfreqClocks:
    """Reads ``gpu_frequency``, ``npu_frequency``, ``memory_frequency`` or ``device_frequency`` of each clock."""

    def __init__(self, system: System) -> None:
        self._clocks = [
            (_reading_name(name), _source(system, name), _current(name), NumberFile(system, _current(name)))
            for name in find_devfreq(system)
        ]

    def read(self) -> list[Reading]:
        """Read every clock; empty where there is none."""
        return [_read(name, source, absolute, file) for name, source, absolute, file in self._clocks]

    def close(self) -> None:
        """Give the descriptors back."""
        for _, _, _, file in self._clocks:
            file.close()


def find_devfreq(system: System) -> list[str]:
    """Return the names of the devices under devfreq."""
    names, _ = list_names(system, DEVFREQ_FOLDER)
    return names


def _reading_name(device: str) -> str:
    kinds = {"gpu": _GPU, "npu": _NPU, "memory": _MEMORY}
    kind = next((kind for kind, pattern in kinds.items() if pattern.fullmatch(device)), "device")
    return f"{kind}_frequency"


def _current(device: str) -> str:
    return f"{DEVFREQ_FOLDER}/{device}/cur_freq"


def _source(system: System, device: str) -> str:
    governor = text_or_empty(system, f"{DEVFREQ_FOLDER}/{device}/governor")
    maximum = text_or_empty(system, f"{DEVFREQ_FOLDER}/{device}/max_freq")
    facts = [f"governor {governor}"] if governor else []
    facts += [f"limit {int(maximum) / 1e6:g} MHz"] if re.fullmatch(r"[0-9]{1,12}", maximum) else []
    return f"{_current(device)} ({', '.join(facts)})" if facts else _current(device)


def _read(name: str, source: str, absolute: str, file: NumberFile) -> Reading:
    try:
        value_hz = _checked_hz(file.read(), absolute)
    except SourceError as error:
        return unavailable(name, reason=str(error), source=source, scope=Scope.SOC, unit="Hz", kind=Kind.SAMPLED)
    return Reading(
        name=name,
        value=float(value_hz),
        status=Status.MEASURED,
        source=source,
        scope=Scope.SOC,
        unit="Hz",
        kind=Kind.SAMPLED,
        resolution=1.0,
    )


def _checked_hz(value_hz: int, file: str) -> int:
    # 0 is a part that is switched off.
    if not 0 <= value_hz <= _HIGHEST_HZ:
        raise SourceError("absurd", f"{file} says {value_hz} Hz, which no part runs at")
    return value_hz
