"""From the wire to the worker: what a plan says of one artifact in one pass becomes a block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard_agent.jobs.device_probe import probe_block
from steelyard_agent.jobs.idle_turn import idle_block, idle_role, loaded_rest_ms
from steelyard_agent.jobs.numeric_turn import as_numeric
from steelyard_agent.jobs.planned_modes import planned_mode, planned_processing
from steelyard_agent.worker.block import (
    KIND_ENERGY,
    KIND_EVALUATION,
    KIND_LATENCY,
    KIND_NUMERIC,
    KIND_OPERATORS,
    KIND_PREPARATION,
    Block,
    Timing,
)
from steelyard_agent.worker.codec import encode_runtime_options
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_protocol.v1 import plan_pb2, result_pb2

_KINDS = {
    result_pb2.PASS_LATENCY: KIND_LATENCY,
    result_pb2.PASS_EVALUATION: KIND_EVALUATION,
    result_pb2.PASS_ENERGY: KIND_ENERGY,
    result_pb2.PASS_PREPARATION: KIND_PREPARATION,
    result_pb2.PASS_OPERATORS: KIND_OPERATORS,
    result_pb2.PASS_NUMERIC: KIND_NUMERIC,
}
# Passes whose blocks write a file of outputs.
WITH_OUTPUTS = frozenset({result_pb2.PASS_EVALUATION, result_pb2.PASS_NUMERIC})
_GRAPH_OPTIMIZATION = {
    plan_pb2.GRAPH_OPTIMIZATION_DISABLED: "disabled",
    plan_pb2.GRAPH_OPTIMIZATION_BASIC: "basic",
    plan_pb2.GRAPH_OPTIMIZATION_EXTENDED: "extended",
    plan_pb2.GRAPH_OPTIMIZATION_ALL: "all",
}
_REDUCERS = {
    plan_pb2.REDUCER_ARGMAX: "argmax",
    plan_pb2.REDUCER_TOP_K: "top_k",
    plan_pb2.REDUCER_SCORE_THRESHOLD: "score_threshold",
    plan_pb2.REDUCER_FULL: "full",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPaths:
    """Where the blobs of a plan lie on this device, by digest."""

    by_digest: Mapping[str, Path]

    def of(self, digest: str) -> str:
        """Return the path of a blob, "" for no digest."""
        return str(self.by_digest[digest]) if digest else ""


def block_for(
    plan: plan_pb2.Plan,
    artifact: plan_pb2.PlannedArtifact,
    pass_kind: result_pb2.Pass.ValueType,
    *,
    paths: BlobPaths,
    output_path: Path,
) -> Block:
    """Return the block that runs ``artifact`` in this pass; the plan was checked before.

    ``output_path`` is where a block of a pass in ``WITH_OUTPUTS`` writes its outputs (.npz).
    """
    if pass_kind == result_pb2.PASS_ROOFLINE:
        return probe_block(plan, paths.of, _probe_options)
    if idle_role(artifact):
        return idle_block(plan.energy, artifact)
    data_digests = {
        result_pb2.PASS_EVALUATION: plan.evaluation.data_digest,
        result_pb2.PASS_NUMERIC: plan.numeric.data_digest,
    }
    block = Block(
        kind=_KINDS[pass_kind],
        runtime_name=artifact.runtime.name,
        model_path=paths.of(artifact.artifact_digest),
        runtime=encode_runtime_options(_runtime_options(artifact)),
        timing=_timing(plan.timing),
        seed=plan.inputs.seed,
        data_path=paths.of(data_digests.get(pass_kind, plan.inputs.data_digest)),
        output_path=str(output_path) if pass_kind in WITH_OUTPUTS else "",
    )
    if pass_kind == result_pb2.PASS_EVALUATION:
        return _with_evaluation(block, plan.evaluation)
    if pass_kind == result_pb2.PASS_NUMERIC:
        return as_numeric(block, plan, artifact, paths.of)
    return replace(
        _with_processing(block, plan),
        mode=planned_mode(plan.mode),
        batch_size=artifact.batch_size,
        profile_window_ms=plan.operators.window_ms or block.profile_window_ms,
        energy_window_ms=plan.energy.window_ms or block.energy_window_ms,
        least_inference_count=plan.energy.least_inference_count,
        longest_energy_window_ms=plan.energy.longest_window_ms,
        loaded_rest_ms=loaded_rest_ms(plan.energy),
        marker_pulse_count=plan.energy.marker.pulse_count,
        marker_pulse_ms=plan.energy.marker.pulse_ms,
    )


def _with_processing(block: Block, plan: plan_pb2.Plan) -> Block:
    """Return the block with what the plan declares around the model, its reducer with the evaluation's settings."""
    spec, evaluation = plan.processing, plan.evaluation
    processing = planned_processing(spec)
    if not processing.reduces:
        return replace(block, processing=processing)
    return replace(
        block,
        processing=processing,
        reducer=_REDUCERS[spec.reducer],
        top_count=evaluation.top_count or block.top_count,
        score_threshold=evaluation.score_threshold if plan.HasField("evaluation") else block.score_threshold,
    )


def _with_evaluation(block: Block, evaluation: plan_pb2.EvaluationSpec) -> Block:
    """Return the block with what the plan says about reducing; 0 stands for the agent's default."""
    return replace(
        block,
        reducer=_REDUCERS[evaluation.reducer],
        batch_size=evaluation.batch_size or block.batch_size,
        top_count=evaluation.top_count or block.top_count,
        # A threshold of 0 is one that everything passes, not a missing one.
        score_threshold=evaluation.score_threshold,
        output_quota_bytes=evaluation.output_quota_bytes or block.output_quota_bytes,
    )


def _probe_options(runtime: plan_pb2.RuntimeSpec) -> dict[str, object]:
    return encode_runtime_options(_runtime_options(plan_pb2.PlannedArtifact(runtime=runtime)))


def _runtime_options(artifact: plan_pb2.PlannedArtifact) -> RuntimeOptions:
    """Return how to load the artifact; None leaves the runtime's own default."""
    runtime = artifact.runtime
    intra, inter = runtime.intra_op_thread_count, runtime.inter_op_thread_count
    return RuntimeOptions(
        providers=tuple(ProviderSpec(name=one.name, options=dict(one.options)) for one in runtime.providers),
        intra_op_thread_count=intra if runtime.HasField("intra_op_thread_count") else None,
        inter_op_thread_count=inter if runtime.HasField("inter_op_thread_count") else None,
        graph_optimization=_GRAPH_OPTIMIZATION.get(runtime.graph_optimization),
        spinning=runtime.spinning if runtime.HasField("spinning") else None,
        arena=runtime.arena if runtime.HasField("arena") else None,
        allow_fallback=runtime.allow_fallback,
        options=dict(runtime.options),
        input_shapes={name: tuple(shape.sizes) for name, shape in artifact.input_shapes.items()},
    )


def _timing(timing: plan_pb2.TimingSpec) -> Timing:
    """Return the plan's timing; 0 stands for the agent's default."""
    default = Timing()
    return Timing(
        sample_window_ms=timing.sample_window_ms or default.sample_window_ms,
        warmup_window_ms=timing.warmup_window_ms or default.warmup_window_ms,
        warmup_tolerance=timing.warmup_tolerance or default.warmup_tolerance,
        warmup_cap_ms=timing.warmup_cap_ms or default.warmup_cap_ms,
        min_sample_count=timing.min_sample_count or default.min_sample_count,
    )
