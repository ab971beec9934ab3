"""Checks how a plan times: its mode, what it declares around the model, and the batch and cores of each artifact."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_agent.jobs.planned_modes import planned_mode, planned_processing
from steelyard_agent.worker.block import Timing
from steelyard_agent.worker.modes import MOST_BATCH
from steelyard_protocol.v1.plan_pb2 import CoreSelection, Plan, PlannedArtifact

_MOST_CORES = 4096
# A phone on a cable is told cores as the bits of one number.
_MAX_CORE_ID = 65_535


def check_mode(plan: Plan) -> None:
    """Refuse a mode that cannot be run or would not end.

    Raises:
        ValueError: one sentence that names the value.
    """
    mode, default = planned_mode(plan.mode), Timing()
    mode.window_ms(
        plan.timing.sample_window_ms or default.sample_window_ms,
        plan.timing.min_sample_count or default.min_sample_count,
    )
    planned_processing(plan.processing)


def check_axes(artifact: PlannedArtifact) -> None:
    """Refuse a batch or cores that no block can have.

    Raises:
        ValueError: one sentence that names the value.
    """
    if artifact.batch_size > MOST_BATCH:
        raise ValueError(f"batch_size of {artifact.label!r} is {artifact.batch_size}, not between 0 and {MOST_BATCH}")
    check_cores(artifact.core_ids, artifact.core_selection, f" of {artifact.label!r}")


def check_cores(core_ids: Sequence[int], selection: CoreSelection.ValueType, whose: str = "") -> None:
    """Refuse cores that no device has, and cores that are named twice over; ``whose`` is said behind the field.

    Raises:
        ValueError: one sentence that names the value.
    """
    if len(core_ids) > _MOST_CORES:
        raise ValueError(f"the number of core_ids{whose} is {len(core_ids)}, not between 0 and {_MOST_CORES}")
    for core_id in core_ids:
        if core_id > _MAX_CORE_ID:
            raise ValueError(f"a core id{whose} is {core_id}, not between 0 and {_MAX_CORE_ID}")
    if selection not in CoreSelection.values():
        raise ValueError(f"core_selection{whose} is no known kind of cores")
    if core_ids and selection:
        raise ValueError(f"core_ids and core_selection{whose} are both given")
