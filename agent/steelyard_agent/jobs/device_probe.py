"""The roofline pass: one block a round, of the device itself."""

from __future__ import annotations

from collections.abc import Callable

from steelyard_agent.worker.block import KIND_ROOFLINE, Block
from steelyard_agent.worker.records import ProbeModel
from steelyard_protocol.v1.plan_pb2 import Plan, PlannedArtifact, RooflineModel, RuntimeSpec

_LABEL = "the device"
_DEFAULT = Block(kind=KIND_ROOFLINE, runtime_name="")


def device_turn(plan: Plan) -> PlannedArtifact:
    """Return the turn of the device in a round; it runs in the environment of the plan's first artifact."""
    environment = plan.artifacts[0].runtime.environment
    return PlannedArtifact(label=_LABEL, runtime=RuntimeSpec(environment=environment))


def probe_block(
    plan: Plan, path_of: Callable[[str], str], options_of: Callable[[RuntimeSpec], dict[str, object]]
) -> Block:
    """Return the block that probes the device; ``options_of`` turns a runtime of the plan into ``Block.runtime``."""
    spec = plan.roofline

    def probe_model(model: RooflineModel) -> ProbeModel:
        return ProbeModel(
            name=model.name,
            model_path=path_of(model.artifact_digest),
            mac_count=model.mac_count,
            runtime_name=model.runtime.name,
            runtime=options_of(model.runtime),
        )

    return Block(
        kind=KIND_ROOFLINE,
        runtime_name="",
        seed=plan.inputs.seed,
        probe_window_ms=spec.window_ms or _DEFAULT.probe_window_ms,
        probe_thread_count=spec.thread_count or _DEFAULT.probe_thread_count,
        probe_models=tuple(probe_model(model) for model in spec.models),
    )
