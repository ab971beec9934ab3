"""What is worth knowing before anything is measured here."""

from __future__ import annotations

import re

from steelyard_agent.description import DeviceDescription
from steelyard_agent.meters.contract import System
from steelyard_agent.surroundings.android import BRING_TERMUX_FORWARD, background_cpuset

_64_BIT_KERNELS = frozenset({"aarch64", "arm64", "x86_64"})
_32_BIT_ARM = re.compile(r"armv[678]l|arm")
# Cores of Arm that cannot run 64-bit programs.
_32_BIT_CORES = re.compile(r"Cortex-A(5|7|8|9|15|17)\b")


def has_32_bit_userland(device: DeviceDescription, pointer_bits: int) -> bool:
    """Return whether programs are 32-bit here, on whatever kernel."""
    return pointer_bits == 32 or _32_BIT_ARM.fullmatch(device.architecture) is not None


def notes(system: System, device: DeviceDescription, pointer_bits: int) -> tuple[str, ...]:
    """Return a sentence for each thing that makes figures of this device worth less than they could be."""
    found = (_emulated(device), _in_background(system), _narrow_python(device, pointer_bits), _narrow_system(device))
    return tuple(note for note in found if note)


def _emulated(device: DeviceDescription) -> str:
    return (
        f"the processor is emulated by {device.emulated_by}: nothing timed here is a latency"
        if (device.emulated_by)
        else ""
    )


def _in_background(system: System) -> str:
    name = background_cpuset(system)
    if not name:
        return ""
    return f"Android keeps this process in its {name} cpuset, where no block is valid: {BRING_TERMUX_FORWARD}"


def _narrow_python(device: DeviceDescription, pointer_bits: int) -> str:
    if pointer_bits != 32 or device.architecture not in _64_BIT_KERNELS:
        return ""
    return (
        f"Python is a 32-bit program on a {device.architecture} kernel: features such as asimddp may be hidden, "
        "and most runtimes publish no 32-bit wheels; install a 64-bit system"
    )


def _narrow_system(device: DeviceDescription) -> str:
    """A 32-bit kernel says "neon" where a 64-bit one says "asimd asimddp": its silence on them means nothing."""
    named = "Cortex-A" in device.processor and not _32_BIT_CORES.search(device.processor)
    if not (named and _32_BIT_ARM.fullmatch(device.architecture)):
        return ""
    return (
        f"a 32-bit system ({device.architecture}) runs on 64-bit cores ({device.processor}): it hides asimd and what "
        "is newer, and most runtimes publish no 32-bit wheels; install a 64-bit system"
    )
