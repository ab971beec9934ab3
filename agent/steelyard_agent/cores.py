"""Cores that are alike, and which of them this process may use. Standard library only.

Sources: Documentation/devicetree/bindings/cpu/cpu-capacity.txt and Documentation/admin-guide/cputopology.rst of Linux.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from steelyard_agent.errors import UsageError
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, list_names, read_number, read_text

CPU_FOLDER = "/sys/devices/system/cpu"

# Favoured cores of one kind differ in their highest clock by some percent, kinds of cores by a third and more.
_SAME_KIND_RATIO = 0.85


class CoreSelection(Enum):
    """Which kind of cores a block is pinned to; the values are the wire's names without their prefix."""

    BIG = "BIG"
    LITTLE = "LITTLE"


class NoSuchCoresError(UsageError):
    """The device has no cores of the kind, or lends none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreGroup:
    """Logical cores of one kind; ``capacity`` is the kernel's (1024 is the fastest), None where it does not tell.

    ``features`` are the processor's that every core of the group has; the device's own are those of all its cores.
    """

    name: str
    core_ids: tuple[int, ...]
    capacity: int | None = None
    max_frequency_hz: int | None = None
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a group without cores."""
        if not self.core_ids:
            raise ValueError(f"core group {self.name!r} has no cores")


def find_core_groups(system: System) -> tuple[CoreGroup, ...]:
    """Return the kinds of cores, the fastest first; empty where the system tells neither capacity nor frequency.

    Cores are told apart by ``cpu_capacity``, where every core has one, else by ``cpuinfo_max_freq``. One kind is called
    "all", two are "big" and "little", more have "middle" between them. Never raises.
    """
    core_ids = _online(system)
    capacities = _of_each(system, core_ids, "cpu_capacity")
    frequencies_khz = _of_each(system, core_ids, "cpufreq/cpuinfo_max_freq")
    speeds = capacities or frequencies_khz
    if not speeds:
        return ()
    kinds = _kinds(speeds)
    return tuple(
        CoreGroup(
            name=name,
            core_ids=tuple(sorted(kind)),
            capacity=max(capacities[core] for core in kind) if capacities else None,
            max_frequency_hz=max(frequencies_khz[core] for core in kind) * 1000 if frequencies_khz else None,
        )
        for name, kind in zip(_names(len(kinds)), kinds, strict=True)
    )


def lent_cores(system: System) -> tuple[int, ...] | None:
    """Return the logical cores that this process and its workers may use, None where the system does not tell.

    A cpuset (Android's background group, a container, systemd's AllowedCPUs) lends fewer than there are.
    """
    try:
        status = read_text(system, "/proc/self/status")
    except SourceError:
        return None
    match = re.search(r"^Cpus_allowed_list:\s*([0-9,-]+)$", status, re.MULTILINE)
    try:
        return parse_core_list(match.group(1)) if match else None
    except ValueError:
        return None


def select_cores(system: System, selection: CoreSelection) -> tuple[int, ...]:
    """Return the cores of a kind that are lent now. On a processor of one kind "big" is every core.

    Raises:
        NoSuchCoresError: There are no cores of this kind here, or the cpuset lends none of them.
    """
    groups = find_core_groups(system)
    if not groups:
        raise NoSuchCoresError(
            "unknown_cores",
            "this device tells neither cpu_capacity nor cpuinfo_max_freq, so that its big and little cores are not "
            "known; name cores by number",
        )
    if selection is CoreSelection.LITTLE and len(groups) == 1:
        raise NoSuchCoresError("one_kind", "this processor has cores of one kind, none of them little; use big cores")
    group = groups[0] if selection is CoreSelection.BIG else groups[-1]
    lent = lent_cores(system)
    usable = group.core_ids if lent is None else tuple(core for core in group.core_ids if core in lent)
    if not usable:
        raise NoSuchCoresError(
            "cores_not_lent",
            f"the {group.name} cores are {format_cores(group.core_ids)} and this process may use "
            f"{format_cores(lent or ())} only; let the agent out of its cpuset, or measure on the cores it has",
        )
    return usable


def parse_core_list(text: str) -> tuple[int, ...]:
    """Return the cores of a kernel's list: "0-3,6" is (0, 1, 2, 3, 6).

    Raises:
        ValueError: It is no such list.
    """
    cores: list[int] = []
    for part in text.strip().split(","):
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", part)
        if match is None:
            raise ValueError(f"{text!r} is not a list of cores such as 0-3,6")
        first = int(match.group(1))
        last = int(match.group(2) or first)
        if last < first:
            raise ValueError(f"{text!r} counts down from {first} to {last}")
        cores += range(first, last + 1)
    return tuple(sorted(set(cores)))


def format_cores(core_ids: Sequence[int]) -> str:
    """Return cores as the kernel writes them: "0-3,6"; "none" for no core."""
    runs: list[list[int]] = []
    for core in sorted(set(core_ids)):
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs) or "none"


def _online(system: System) -> list[int]:
    try:
        return list(parse_core_list(read_text(system, f"{CPU_FOLDER}/online")))
    except (SourceError, ValueError):
        names, _ = list_names(system, CPU_FOLDER)
        return [int(name[3:]) for name in names if re.fullmatch(r"cpu[0-9]+", name)]


def _of_each(system: System, core_ids: Sequence[int], attribute: str) -> dict[int, int]:
    """Return a positive number of every core, empty when one has none: half a picture tells no kinds apart."""
    found = {}
    for core in core_ids:
        try:
            value = read_number(system, f"{CPU_FOLDER}/cpu{core}/{attribute}")
        except SourceError:
            return {}
        if value <= 0:
            return {}
        found[core] = value
    return found


def _kinds(speeds: Mapping[int, int]) -> list[list[int]]:
    """Return the cores in groups of like speed, the fastest first."""
    kinds: list[list[int]] = []
    for core in sorted(speeds, key=lambda core: (-speeds[core], core)):
        if kinds and speeds[core] >= _SAME_KIND_RATIO * speeds[kinds[-1][0]]:
            kinds[-1].append(core)
        else:
            kinds.append([core])
    return kinds


def _names(count: int) -> list[str]:
    if count == 1:
        return ["all"]
    middles = ["middle"] if count == 3 else [f"middle-{number}" for number in range(1, count - 1)]
    return ["big", *middles, "little"] if count > 2 else ["big", "little"]
