"""Who this device is: model, processor, memory, system, runtimes and meters. No ML runtime and no numpy."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from steelyard_agent.cores import CoreGroup, find_core_groups
from steelyard_agent.meters.catalog import probe_meters
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import text_or_empty
from steelyard_agent.processor import Processor, features_of, parse_cpuinfo
from steelyard_agent.profiles import Identity, Profile, identify, load_profiles, match_profile
from steelyard_agent.readings import Reading
from steelyard_agent.worker.platforms import has_linux_kernel

# Features that macOS names by its own keys.
_MACOS_FEATURES = {
    "hw.optional.arm.FEAT_DotProd": ("asimddp",),
    "hw.optional.arm.FEAT_FP16": ("fphp", "asimdhp"),
    "hw.optional.arm.FEAT_I8MM": ("i8mm",),
    "hw.optional.arm.FEAT_BF16": ("bf16",),
    "hw.optional.avx2_0": ("avx2",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeDescription:
    """A runtime that was looked for; ``version`` is "" and ``reason`` says why when it cannot be used."""

    name: str
    version: str = ""
    providers: tuple[str, ...] = ()
    reason: str = ""
    # The runtime environment it was found in, "" for the agent's own.
    environment: str = ""
    compiling_providers: tuple[str, ...] = ()
    # (name, reason) of the providers that are known by name but cannot be used.
    unusable_providers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescription:
    """What a device is and what can be read and run on it; the fields are those of the message of the same name."""

    device_id: str
    name: str
    model: str
    profile: str
    architecture: str
    operating_system: str
    kernel: str
    processor: str
    logical_core_count: int
    processor_features: tuple[str, ...]
    memory_bytes: int
    python_version: str
    runtimes: tuple[RuntimeDescription, ...] = ()
    meters: tuple[Reading, ...] = ()
    # For each source of power and energy to tell enough (meters/energy_window.py); None without one.
    least_energy_window_ms: int | None = None
    core_groups: tuple[CoreGroup, ...] = ()
    # "qemu-user on x86_64" when the processor is emulated, "" when it is real.
    emulated_by: str = ""
    identity: Identity = field(default_factory=Identity)


def describe_device(
    system: System,
    *,
    name: str,
    device_id: str,
    runtimes: Sequence[RuntimeDescription] = (),
    profiles: Sequence[Profile] | None = None,
    emulated_by: str = "",
) -> DeviceDescription:
    """Return who the device is; probes every meter once.

    ``runtimes`` come from the caller, who probes them in workers; ``profiles`` are those to choose from, by default the
    shipped ones. Features are what the device says, never what a profile says. ``emulated_by`` is what
    ``steelyard_agent.emulation`` found; the kernel's architecture is then not that of the device.

    Raises:
        ProfileError: a shipped profile is broken.
    """
    processor = _processor(system)
    identity = identify(system, processor)
    profile = match_profile(identity, load_profiles() if profiles is None else profiles)
    probed = probe_meters(system)
    return DeviceDescription(
        device_id=device_id,
        name=name,
        model=identity.model or processor.model or _sysctl(system, "hw.model"),
        profile=profile.name if profile else "",
        architecture=("" if emulated_by else text_or_empty(system, "/proc/sys/kernel/arch")) or platform.machine(),
        operating_system=_operating_system(system, identity),
        kernel=text_or_empty(system, "/proc/sys/kernel/osrelease") or platform.release(),
        processor=processor.name,
        logical_core_count=len(processor.core_features) or os.cpu_count() or 0,
        processor_features=processor.features,
        memory_bytes=_memory_bytes(system),
        python_version=platform.python_version(),
        runtimes=tuple(runtimes),
        meters=probed.readings,
        least_energy_window_ms=probed.least_energy_window_ms,
        core_groups=tuple(
            replace(group, features=features_of(processor, group.core_ids)) for group in find_core_groups(system)
        ),
        emulated_by=emulated_by,
        identity=identity,
    )


def _processor(system: System) -> Processor:
    processor = parse_cpuinfo(text_or_empty(system, "/proc/cpuinfo"))
    if processor.core_features:
        return processor
    found = {name for key, names in _MACOS_FEATURES.items() if _sysctl(system, key) == "1" for name in names}
    return Processor(name=_sysctl(system, "machdep.cpu.brand_string"), features=tuple(sorted(found)))


def _sysctl(system: System, key: str) -> str:
    return system.run_command(("sysctl", "-n", key)).text


def _operating_system(system: System, identity: Identity) -> str:
    release = text_or_empty(system, "/etc/os-release")
    if match := re.search(r"^PRETTY_NAME=\"?([^\"\n]+)\"?$", release, re.MULTILINE):
        # JetPack's Ubuntu says nothing of the drivers that decide what the accelerator can do.
        return match.group(1) + (f", Jetson Linux {identity.tegra_release}" if identity.tegra_release else "")
    if identity.android_version:
        return f"Android {identity.android_version}"
    macos = platform.mac_ver()[0]
    return f"macOS {macos}" if macos else platform.system()


def _memory_bytes(system: System) -> int:
    match = re.search(r"^MemTotal:\s+([0-9]+) kB$", text_or_empty(system, "/proc/meminfo"), re.MULTILINE)
    if match:
        return int(match.group(1)) * 1024
    if has_linux_kernel():
        # psutil would read the same file, and fail at import with some Pythons on Android.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.virtual_memory().total)
