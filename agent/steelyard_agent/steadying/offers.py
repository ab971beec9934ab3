"""What could be changed on this device so that its figures wander less. Looks only; ``doing`` changes."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard_agent.cores import CoreSelection, NoSuchCoresError, find_core_groups, format_cores, select_cores
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import CPUFREQ_FOLDER, find_policies, policy_file, policy_text
from steelyard_agent.state.settings import DeviceSettings

STEADY_GOVERNOR = "performance"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One attribute of sysfs and the text that it holds before and after."""

    file: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One thing that could be changed: ``changes`` to sysfs, or ``settings`` of this agent alone.

    ``sentence`` says what would change, ``effect`` what it brings and costs, and how long it lasts.
    """

    name: str
    sentence: str
    effect: str
    changes: tuple[FileChange, ...] = ()
    settings: DeviceSettings | None = None


def find_offers(system: System, settings: DeviceSettings) -> tuple[Offer, ...]:
    """Return what would make this device steadier; empty when nothing would. Never raises."""
    return tuple(one for one in _looked_at(system, settings) if isinstance(one, Offer))


def why_not_offered(system: System, settings: DeviceSettings) -> tuple[str, ...]:
    """Return a sentence for each thing that is looked at and not offered. Never raises."""
    return tuple(one for one in _looked_at(system, settings) if isinstance(one, str))


def _looked_at(system: System, settings: DeviceSettings) -> tuple[Offer | str, ...]:
    return (_governor(system), _cores(system, settings))


def _governor(system: System) -> Offer | str:
    policies, reason = find_policies(system)
    governors = {policy: policy_text(system, policy, "scaling_governor") for policy in policies}
    available = {policy: policy_text(system, policy, "scaling_available_governors").split() for policy in policies}
    changes = tuple(
        FileChange(file=policy_file(policy, "scaling_governor"), before=governor, after=STEADY_GOVERNOR)
        for policy, governor in governors.items()
        if governor and governor != STEADY_GOVERNOR and STEADY_GOVERNOR in available[policy]
    )
    if not changes:
        if not policies:
            return f"governor: no clock can be set here ({CPUFREQ_FOLDER}: {reason or 'no policy'})"
        if set(governors.values()) == {STEADY_GOVERNOR}:
            return f"governor: it is {STEADY_GOVERNOR}"
        there = ", ".join(sorted({name for names in available.values() for name in names})) or "none that can be read"
        in_use = ", ".join(sorted(set(governors.values()) - {""})) or "not told"
        return f"governor: it is {in_use}, and the kernel offers no {STEADY_GOVERNOR} in its place (it has {there})"
    former = ", ".join(sorted({change.before for change in changes}))
    count = len(changes)
    return Offer(
        name="governor",
        sentence=f"set the cpufreq governor of {count} {'policy' if count == 1 else 'policies'} from {former} to "
        f"{STEADY_GOVERNOR}",
        effect="the cores stay at their highest clock instead of following the load: steadier latency, more heat and "
        "power; until the next boot",
        changes=changes,
    )


def _cores(system: System, settings: DeviceSettings) -> Offer | str:
    if settings.core_selection is not None:
        return f"cores: measured processes are pinned to the {settings.core_selection.value.lower()} cores"
    if len(find_core_groups(system)) == 1:
        return "cores: all are of one kind"
    try:
        core_ids = select_cores(system, CoreSelection.BIG)
    except NoSuchCoresError as error:
        return f"cores: {error}"
    return Offer(
        name="cores",
        sentence=f"pin measured processes to the big cores ({format_cores(core_ids)}) where a plan names no cores",
        effect="a process no longer wanders between big and little cores; only this agent's workers change, and every "
        "result says so",
        settings=DeviceSettings(core_selection=CoreSelection.BIG),
    )
