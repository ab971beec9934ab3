"""Which cores a block is pinned to: those that the plan names, those of a kind, or the device's own setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steelyard_agent.cores import CoreSelection, NoSuchCoresError, format_cores, select_cores
from steelyard_agent.meters.contract import System
from steelyard_agent.state.settings import DeviceSettings
from steelyard_protocol.v1 import plan_pb2

_SELECTIONS = {
    plan_pb2.CORE_SELECTION_BIG: CoreSelection.BIG,
    plan_pb2.CORE_SELECTION_LITTLE: CoreSelection.LITTLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinning:
    """Logical cores, empty for none, and the note that the result carries ("" for none)."""

    core_ids: tuple[int, ...] = ()
    note: str = ""


# Asked before every block: a cpuset may have changed since the last one.
Pin = Callable[[plan_pb2.Plan], Pinning]


def placed(plan: plan_pb2.Plan, artifact: plan_pb2.PlannedArtifact) -> plan_pb2.Plan:
    """Return a plan of nothing but where this artifact is to be pinned: its own word counts before the plan's."""
    chosen = artifact if artifact.core_ids or artifact.core_selection else plan
    return plan_pb2.Plan(core_ids=chosen.core_ids, core_selection=chosen.core_selection)


def pin_as_planned(plan: plan_pb2.Plan, *, system: System, settings: DeviceSettings) -> Pinning:
    """Return where the next block of a plan is pinned.

    Raises:
        NoSuchCoresError: The device has no such cores, or lends none of them now.
    """
    if plan.core_ids:
        return Pinning(core_ids=tuple(plan.core_ids))
    selection = _SELECTIONS.get(plan.core_selection)
    if selection is None and settings.core_selection is None:
        return Pinning()
    chosen = selection or settings.core_selection
    assert chosen is not None
    by = "" if selection is not None else ", by this device's own setting (steelyard-agent doctor --undo)"
    try:
        core_ids = select_cores(system, chosen)
    except NoSuchCoresError as error:
        raise NoSuchCoresError(error.reason, f"{error}{by}") from error
    return Pinning(core_ids=core_ids, note=f"pinned to the {chosen.value.lower()} cores {format_cores(core_ids)}{by}")
