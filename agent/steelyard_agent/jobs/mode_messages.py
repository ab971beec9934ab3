"""From the worker to the wire: what a timed block measured in its mode, beside what every block has."""

from __future__ import annotations

from steelyard_agent.worker.block import CurvePoint, WorkerResult
from steelyard_protocol.v1 import result_pb2


def mode_figures(result: WorkerResult) -> result_pb2.BlockResult:
    """Return a message of these figures alone, to be merged into the block's."""
    return result_pb2.BlockResult(
        response_ns=result.response_ns,
        missed_count=result.missed_count,
        window_ns=result.window_ns,
        batch_size=result.batch_size or 0,
        curve=[_point_message(point) for point in result.curve],
        sequences=[result_pb2.SequenceTiming(step_ns=steps) for steps in result.sequences],
        preprocessing_ns=result.preprocessing_ns,
        postprocessing_ns=result.postprocessing_ns,
        cpu_ns=result.cpu_ns,
    )


def _point_message(point: CurvePoint) -> result_pb2.CurvePoint:
    return result_pb2.CurvePoint(
        offset_ms=point.offset_ms,
        inference_count=point.inference_count,
        p50_ns=point.p50_ns,
        p90_ns=point.p90_ns,
        temperature_c=point.temperature_c,
        frequency_hz=point.frequency_hz,
    )
