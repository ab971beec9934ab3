"""Families of devices that bring a program of their own; no other device is asked for it.

Known by the device tree: "raspberrypi,5-model-b", "nvidia,tegra234".
"""

from __future__ import annotations

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import text_or_empty

_COMPATIBLE = "/proc/device-tree/compatible"


def is_raspberry_pi(system: System) -> bool:
    """Whether the board is a Raspberry Pi, whose firmware answers vcgencmd."""
    return _has_compatible(system, "raspberrypi,")


def is_jetson(system: System) -> bool:
    """Whether the board carries an NVIDIA Tegra, as every Jetson does."""
    return _has_compatible(system, "nvidia,tegra")


def _has_compatible(system: System, prefix: str) -> bool:
    return any(one.startswith(prefix) for one in text_or_empty(system, _COMPATIBLE).split("\x00"))
