"""Between the wire and the worker: a plan becomes blocks, what a block measured becomes a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from steelyard_agent.cores import CoreGroup
from steelyard_agent.description import DeviceDescription
from steelyard_agent.readings import Reading
from steelyard_agent.surroundings.contract import BlockSurroundings, Circumstance, ThrottleReport
from steelyard_agent.worker.block import (
    KIND_ENERGY,
    KIND_EVALUATION,
    KIND_LATENCY,
    KIND_PREPARATION,
    Block,
    Timing,
    WorkerResult,
)
from steelyard_agent.worker.codec import encode_runtime_options
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import common_pb2, plan_pb2, result_pb2

_KINDS = {
    result_pb2.PASS_LATENCY: KIND_LATENCY,
    result_pb2.PASS_EVALUATION: KIND_EVALUATION,
    result_pb2.PASS_ENERGY: KIND_ENERGY,
    result_pb2.PASS_PREPARATION: KIND_PREPARATION,
}
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
# A native library may say a page; a session message is 64 KiB at most.
_MAX_SENTENCE_CHARACTERS = 4000
# Of a description, which a hello holds beside the rounds that are not acknowledged; a usual one has 3 KiB.
_MAX_DESCRIPTION_BYTES = 32 * 1024
_MAX_WHY_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPaths:
    """Where the blobs of a plan lie on this device, by digest."""

    by_digest: Mapping[str, Path]

    def of(self, digest: str) -> str:
        """Return the path of a blob, "" for no digest."""
        return str(self.by_digest[digest]) if digest else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsBlob:
    """The reduced outputs of an evaluation block."""

    digest: str
    size_bytes: int


def block_for(
    plan: plan_pb2.Plan,
    artifact: plan_pb2.PlannedArtifact,
    pass_kind: result_pb2.Pass.ValueType,
    *,
    paths: BlobPaths,
    output_path: Path,
) -> Block:
    """Return the block that runs ``artifact`` in this pass; the plan was checked before.

    ``output_path`` is where an evaluation block writes its reduced outputs (.npz).
    """
    evaluates = pass_kind == result_pb2.PASS_EVALUATION
    block = Block(
        kind=_KINDS[pass_kind],
        runtime_name=artifact.runtime.name,
        model_path=paths.of(artifact.artifact_digest),
        runtime=encode_runtime_options(_runtime_options(artifact)),
        timing=_timing(plan.timing),
        seed=plan.inputs.seed,
        data_path=paths.of(plan.evaluation.data_digest if evaluates else plan.inputs.data_digest),
        output_path=str(output_path) if evaluates else "",
    )
    if evaluates:
        return _with_evaluation(block, plan.evaluation)
    return replace(
        block,
        energy_window_ms=plan.energy.window_ms or block.energy_window_ms,
        marker_pulse_count=plan.energy.marker.pulse_count,
        marker_pulse_ms=plan.energy.marker.pulse_ms,
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


def block_result(
    artifact: plan_pb2.PlannedArtifact,
    *,
    status: BlockStatus,
    reason: str,
    message: str,
    started_at_unix_ns: int,
    wall_ns: int,
    result: WorkerResult | None = None,
    notes: Iterable[str] = (),
    around: BlockSurroundings = BlockSurroundings(),  # noqa: B008 (frozen)
    readings: Iterable[Reading] = (),
    outputs: OutputsBlob | None = None,
) -> result_pb2.BlockResult:
    """Return what the controller is told about one block; see ``error_info`` for its error.

    A block that ran under circumstances that spoil it ends as NOT_VALID; its samples travel all the same.
    """
    if status is BlockStatus.OK and around.not_valid:
        status, reason, message = BlockStatus.NOT_VALID, "not_valid", around.not_valid
    block = result_pb2.BlockResult(
        artifact_digest=artifact.artifact_digest,
        label=artifact.label,
        status=result_pb2.BlockStatus.Value(f"BLOCK_STATUS_{status.value}"),
        started_at=timestamp(started_at_unix_ns),
        runtime_name=artifact.runtime.name,
        readings=[reading_message(reading) for reading in (*around.readings, *readings)],
        notes=notes,
        wall_ns=wall_ns,
        throttle=_throttle_message(around.throttle) if around.throttle is not None else None,
        circumstances=[_circumstance_message(one) for one in around.circumstances],
    )
    if status is not BlockStatus.OK:
        block.error.CopyFrom(error_info(reason, message))
    if result is not None:
        block.MergeFrom(_measured(result))
    if outputs is not None:
        block.outputs_digest = outputs.digest
        block.outputs_size_bytes = outputs.size_bytes
    return block


def reading_message(reading: Reading) -> common_pb2.Reading:
    """Return a reading as the wire has it; what is not known stays unset."""
    return common_pb2.Reading(
        name=reading.name,
        value=reading.value,
        status=common_pb2.ReadingStatus.Value(f"READING_STATUS_{reading.status.value}"),
        reason=reading.reason,
        source=reading.source,
        scope=common_pb2.ReadingScope.Value(f"READING_SCOPE_{reading.scope.value}"),
        unit=reading.unit,
        resolution=reading.resolution,
        kind=common_pb2.ReadingKind.Value(f"READING_KIND_{reading.kind.value}"),
        rate_hz=reading.rate_hz,
    )


def description_message(device: DeviceDescription) -> common_pb2.DeviceDescription:
    """Return a device's description as the wire has it, short enough for a hello."""
    message = common_pb2.DeviceDescription(
        device_id=device.device_id,
        name=device.name,
        model=device.model,
        profile=device.profile,
        architecture=device.architecture,
        operating_system=device.operating_system,
        kernel=device.kernel,
        processor=device.processor,
        logical_core_count=device.logical_core_count,
        processor_features=device.processor_features,
        memory_bytes=device.memory_bytes,
        python_version=device.python_version,
        runtimes=[
            common_pb2.RuntimeDescription(
                name=runtime.name,
                version=runtime.version,
                providers=runtime.providers,
                # On the wire a reason says that the whole runtime cannot be used.
                reason="" if runtime.providers else runtime.reason[:_MAX_WHY_CHARACTERS],
                environment=runtime.environment,
                compiling_providers=runtime.compiling_providers,
                unusable_providers=[
                    common_pb2.UnusableProvider(name=name, reason=reason[:_MAX_WHY_CHARACTERS])
                    for name, reason in runtime.unusable_providers
                ],
            )
            for runtime in device.runtimes
        ],
        meters=[reading_message(reading) for reading in device.meters],
        core_groups=[_core_group_message(group) for group in device.core_groups],
        emulated_by=device.emulated_by,
        identity=common_pb2.DeviceIdentity(**asdict(device.identity)),
    )
    # Two dozen runtime environments with the same twenty absent providers each; the agent's own come first.
    for runtime in reversed(message.runtimes):
        if message.ByteSize() <= _MAX_DESCRIPTION_BYTES:
            break
        runtime.ClearField("unusable_providers")
    return message


def error_info(reason: str, message: str) -> common_pb2.ErrorInfo:
    """Return an error as the wire has it; its sentence is cut to 4,000 characters."""
    return common_pb2.ErrorInfo(reason=reason, message=message[:_MAX_SENTENCE_CHARACTERS])


def timestamp(unix_ns: int) -> Timestamp:
    """Return wall time in nanoseconds since 1970 as the wire has it."""
    message = Timestamp()
    message.FromNanoseconds(unix_ns)
    return message


def _core_group_message(group: CoreGroup) -> common_pb2.CoreGroup:
    return common_pb2.CoreGroup(
        name=group.name,
        core_ids=group.core_ids,
        capacity=group.capacity,
        max_frequency_hz=group.max_frequency_hz,
        features=group.features,
    )


def _circumstance_message(one: Circumstance) -> common_pb2.Circumstance:
    return common_pb2.Circumstance(name=one.name, value=one.value, reason=one.reason)


def _throttle_message(report: ThrottleReport) -> result_pb2.ThrottleReport:
    return result_pb2.ThrottleReport(
        verdict=result_pb2.ThrottleVerdict.Value(f"THROTTLE_VERDICT_{report.verdict.value}"),
        evidence=report.evidence,
        not_looked_at=report.not_looked_at,
    )


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


def _measured(result: WorkerResult) -> result_pb2.BlockResult:
    return result_pb2.BlockResult(
        process_start_ns=result.process_start_ns,
        runtime_import_ns=result.runtime_import_ns,
        model_load_ns=result.model_load_ns,
        first_inference_ns=result.first_inference_ns,
        warmup_ns=result.warmup_ns,
        warmup_steady=result.warmup_steady,
        inner_batch_count=result.inner_batch_count,
        latency_ns=result.latency_ns,
        latency_summary=result.latency_summary,
        memory=_memory(result),
        runtime_version=result.runtime_version,
        providers=result.providers,
        placements=[result_pb2.Placement(provider=name, node_count=count) for name, count in result.placements.items()],
        input_source=result.input_source,
        notes=result.notes,
        sample_count=result.sample_count,
        build_ns=result.build_ns,
        prepared_cache_hit=result.prepared_cache_hit,
        energy_window=_energy_window(result),
    )


def _energy_window(result: WorkerResult) -> result_pb2.EnergyWindow | None:
    if result.window_start_ns is None or result.window_end_ns is None:
        return None
    return result_pb2.EnergyWindow(
        start_ns=result.window_start_ns,
        end_ns=result.window_end_ns,
        inference_count=result.sample_count,
        marker_edges_ns=result.marker_edges_ns,
    )


def _memory(result: WorkerResult) -> result_pb2.MemoryProfile:
    return result_pb2.MemoryProfile(
        phases=[
            result_pb2.MemoryPhase(
                name=name,
                resident_bytes=phase.get("resident_bytes"),
                anonymous_bytes=phase.get("anonymous_bytes"),
                file_bytes=phase.get("file_bytes"),
                shared_bytes=phase.get("shared_bytes"),
            )
            for name, phase in result.memory_phases.items()
        ],
        peak_resident_bytes=result.peak_resident_bytes,
        peak_source=result.peak_source,
        reason=result.memory_reason,
    )
