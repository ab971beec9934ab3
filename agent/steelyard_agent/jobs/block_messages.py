"""From the worker to the wire: what a block measured becomes a message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from steelyard_agent.jobs.idle_turn import idle_role
from steelyard_agent.jobs.messages import error_info, reading_message, timestamp
from steelyard_agent.jobs.mode_messages import mode_figures
from steelyard_agent.jobs.profile_messages import profile_message, rate_messages
from steelyard_agent.jobs.validity import validity_message
from steelyard_agent.readings import Reading
from steelyard_agent.surroundings.contract import BlockSurroundings, Circumstance, ThrottleReport
from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import common_pb2, plan_pb2, result_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsBlob:
    """The outputs of an evaluation or numeric block."""

    digest: str
    size_bytes: int


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
    least_available_bytes: int | None = None,
) -> result_pb2.BlockResult:
    """Return what the controller is told about one block; see ``error_info`` for its error.

    A block that ran under circumstances that spoil it ends as NOT_VALID; its samples travel all the same.
    """
    if status is BlockStatus.OK and around.not_valid:
        reason = around.validity.verdict.value.lower() if around.validity is not None else "not_valid"
        status, message = BlockStatus.NOT_VALID, around.not_valid
    block = result_pb2.BlockResult(
        artifact_digest=artifact.artifact_digest,
        label=artifact.label,
        status=result_pb2.BlockStatus.Value(f"BLOCK_STATUS_{status.value}"),
        started_at=timestamp(started_at_unix_ns),
        runtime_name=artifact.runtime.name,
        role=idle_role(artifact),
        readings=[reading_message(reading) for reading in (*around.readings, *readings)],
        notes=notes,
        wall_ns=wall_ns,
        throttle=_throttle_message(around.throttle) if around.throttle is not None else None,
        circumstances=[_circumstance_message(one) for one in around.circumstances],
        validity=validity_message(around.validity) if around.validity is not None else None,
    )
    if status is not BlockStatus.OK:
        block.error.CopyFrom(error_info(reason, message))
    if result is not None:
        block.MergeFrom(_measured(result))
        block.MergeFrom(mode_figures(result))
    if least_available_bytes is not None:
        block.memory.least_available_bytes = least_available_bytes
    if outputs is not None:
        block.outputs_digest = outputs.digest
        block.outputs_size_bytes = outputs.size_bytes
    return block


def _circumstance_message(one: Circumstance) -> common_pb2.Circumstance:
    return common_pb2.Circumstance(name=one.name, value=one.value, reason=one.reason)


def _throttle_message(report: ThrottleReport) -> result_pb2.ThrottleReport:
    return result_pb2.ThrottleReport(
        verdict=result_pb2.ThrottleVerdict.Value(f"THROTTLE_VERDICT_{report.verdict.value}"),
        evidence=report.evidence,
        not_looked_at=report.not_looked_at,
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
        operators=profile_message(result),
        roofline=rate_messages(result),
        role=result_pb2.BLOCK_ROLE_DEVICE if result.rates else result_pb2.BLOCK_ROLE_UNSPECIFIED,
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
        arena_bytes=result.arena_bytes,
        arena_source=result.arena_source,
    )
