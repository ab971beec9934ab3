"""What could be changed on this device so that its figures wander less. Looks only; ``doing`` changes."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard_agent.cores import CoreSelection, NoSuchCoresError, find_core_groups, format_cores, select_cores
from steelyard_agent.meters.contract import System
from steelyard_agent.meters.cpufreq import find_policies, policy_file, policy_text
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
    return tuple(offer for offer in (_governor(system), _cores(system, settings)) if offer is not None)


def _governor(system: System) -> Offer | None:
    policies, _ = find_policies(system)
    changes = []
    for policy in policies:
        governor = policy_text(system, policy, "scaling_governor")
        available = policy_text(system, policy, "scaling_available_governors").split()
        if governor and governor != STEADY_GOVERNOR and STEADY_GOVERNOR in available:
            file = policy_file(policy, "scaling_governor")
            changes.append(FileChange(file=file, before=governor, after=STEADY_GOVERNOR))
    if not changes:
        return None
    former = ", ".join(sorted({change.before for change in changes}))
    count = len(changes)
    return Offer(
        name="governor",
        sentence=f"set the cpufreq governor of {count} {'policy' if count == 1 else 'policies'} from {former} to "
        f"{STEADY_GOVERNOR}",
        effect="the cores stay at their highest clock instead of following the load: steadier latency, more heat and "
        "power; until the next boot",
        changes=tuple(changes),
    )


def _cores(system: System, settings: DeviceSettings) -> Offer | None:
    if settings.core_selection is not None or len(find_core_groups(system)) < 2:
        return None
    try:
        core_ids = select_cores(system, CoreSelection.BIG)
    except NoSuchCoresError:
        return None
    return Offer(
        name="cores",
        sentence=f"pin measured processes to the big cores ({format_cores(core_ids)}) where a plan names no cores",
        effect="a process no longer wanders between big and little cores; only this agent's workers change, and every "
        "result says so",
        settings=DeviceSettings(core_selection=CoreSelection.BIG),
    )
