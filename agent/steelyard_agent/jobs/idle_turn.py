"""The idle baselines of an energy round: a block before its artifacts and one after them, with nothing in it."""

from __future__ import annotations

from steelyard_agent.worker.block import KIND_IDLE, Block
from steelyard_protocol.v1.plan_pb2 import EnergySpec, Plan, PlannedArtifact, RuntimeSpec
from steelyard_protocol.v1.result_pb2 import (
    BLOCK_ROLE_IDLE_AFTER,
    BLOCK_ROLE_IDLE_BEFORE,
    BLOCK_ROLE_UNSPECIFIED,
    PASS_ENERGY,
    BlockRole,
    Pass,
)

_ROLES = {"idle before": BLOCK_ROLE_IDLE_BEFORE, "idle after": BLOCK_ROLE_IDLE_AFTER}
# What loading a model adds is told well enough by a sixth of what the baseline takes: it is a note beside the figures.
_LOADED_REST_SHARE = 6


def with_baselines(plan: Plan, pass_kind: Pass.ValueType, order: list[PlannedArtifact]) -> list[PlannedArtifact]:
    """Return the turns of a round with its idle ones, where the plan wants them: runtime and cores of its first model.

    Providers are left out: what they bring along is loaded with a model.
    """
    if pass_kind != PASS_ENERGY or not plan.energy.idle_ms:
        return order
    first = plan.artifacts[0]
    before, after = (
        PlannedArtifact(
            label=label,
            runtime=RuntimeSpec(name=first.runtime.name, environment=first.runtime.environment),
            core_ids=first.core_ids,
            core_selection=first.core_selection,
        )
        for label in _ROLES
    )
    return [before, *order, after]


def idle_role(artifact: PlannedArtifact) -> BlockRole.ValueType:
    """Return which baseline a turn is, unspecified for that of a model: those of a plan have a digest."""
    return BLOCK_ROLE_UNSPECIFIED if artifact.artifact_digest else _ROLES.get(artifact.label, BLOCK_ROLE_UNSPECIFIED)


def idle_block(energy: EnergySpec, artifact: PlannedArtifact) -> Block:
    """Return the block of an idle turn."""
    return Block(kind=KIND_IDLE, runtime_name=artifact.runtime.name, idle_window_ms=energy.idle_ms)


def loaded_rest_ms(energy: EnergySpec) -> int:
    """Return how long a model rests, loaded, before it is run."""
    return energy.idle_ms // _LOADED_REST_SHARE


def longest_silence_ms(energy: EnergySpec) -> int:
    """Return how long a block of the pass gives no sign although it fares well: its longest window with its marker."""
    # A rest before, a rest after each pulse, the last of both twice as long; a second around each window asleep.
    marker_ms = (2 * energy.marker.pulse_count + 3) * energy.marker.pulse_ms
    idle_ms = energy.idle_ms + 2000 if energy.idle_ms else 0
    return max(energy.window_ms + marker_ms, energy.longest_window_ms + marker_ms, idle_ms)
