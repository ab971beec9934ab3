"""Whether this agent runs under an emulator of processors: outputs hold there, times, memory and energy do not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from steelyard_agent.errors import UsageError
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import text_or_empty

# Says by what where it cannot be seen: kernels before 6.1 have no /proc/sys/kernel/arch, and an emulated machine with a
# system of its own looks real from inside.
EMULATED_VARIABLE = "STEELYARD_EMULATED_BY"

# The phone of Android Studio: its own properties, the second one before Android 12.
_ANDROID_EMULATOR_PROPERTIES = ("ro.boot.qemu", "ro.kernel.qemu")
_MOST_CHARACTERS = 100
# One processor runs every name of its row itself: a 32-bit system on a 64-bit kernel is no emulation.
_FAMILIES = (
    r"aarch64|arm64|arm.*",
    r"x86_64|amd64|i[3-6]86",
    r"riscv.*",
    r"ppc.*",
    r"mips.*",
    r"loongarch.*",
    r"s390x?",
)


def find_emulator(system: System, environment: Mapping[str, str], machine: str) -> str:
    """Return what emulates this device, like "qemu-user on x86_64", and "" where the processor is real.

    Args:
        system: The kernel's own files. User-mode emulators invent what ``uname`` says and leave
            ``/proc/sys/kernel/arch`` and the name of the process (``/proc/self/comm``) to the real kernel.
        environment: ``STEELYARD_EMULATED_BY`` in it goes before what is found.
        machine: What ``uname -m`` says to this process.

    Raises:
        UsageError: the variable holds what cannot be shown in a line.
    """
    told = environment.get(EMULATED_VARIABLE, "").strip()
    if told:
        return _printable(told)
    kernel = text_or_empty(system, "/proc/sys/kernel/arch")
    comm = text_or_empty(system, "/proc/self/comm")
    # A process is named after its program: qemu's here, where nothing registered it with the kernel (binfmt_misc).
    emulator = "qemu-user" if comm.startswith("qemu-") else ""
    if kernel and machine and _family(kernel) != _family(machine):
        return f"{emulator or 'an emulator'} on {kernel}"
    return emulator or find_android_emulator(system)


def find_android_emulator(system: System) -> str:
    """Return "the Android emulator" where the device says that it is one: no phone has its times; "" elsewhere."""
    told = (system.run_command(("getprop", name)).text for name in _ANDROID_EMULATOR_PROPERTIES)
    return "the Android emulator" if "1" in told else ""


def not_a_latency(emulated_by: str) -> str:
    """Return why no time is shown."""
    return f"measured under emulation ({emulated_by}): not a latency"


def not_its_own(emulated_by: str) -> str:
    """Return why no memory is shown: the emulator's translations are in it."""
    return f"measured under emulation ({emulated_by}): the emulator's own is in it"


def _family(machine: str) -> str:
    return next((family for family in _FAMILIES if re.fullmatch(family, machine)), machine)


def _printable(text: str) -> str:
    if not text.isprintable() or len(text) > _MOST_CHARACTERS:
        raise UsageError(
            "invalid_emulator",
            f"{EMULATED_VARIABLE}={text[:40]!r} must be at most {_MOST_CHARACTERS} printable characters; "
            "say it like 'qemu-user on x86_64', or unset it",
        )
    return text
