"""From the worker to the wire: operators and what the device can do."""

from __future__ import annotations

from steelyard_agent.worker.block import WorkerResult
from steelyard_protocol.v1 import result_pb2


def profile_message(result: WorkerResult) -> result_pb2.OperatorProfile | None:
    """Return the operators of a result as the wire has them; None for a block that profiled nothing."""
    if not result.operators and not result.operators_reason:
        return None
    return result_pb2.OperatorProfile(
        operators=[
            result_pb2.OperatorTiming(
                name=one.name,
                kind=one.kind,
                provider=one.provider,
                call_count=one.call_count,
                total_ns=one.total_ns,
                outputs=one.outputs,
            )
            for one in result.operators
        ],
        inference_count=result.profiled_count,
        wall_ns=result.profiled_ns,
        reason=result.operators_reason,
    )


def rate_messages(result: WorkerResult) -> list[result_pb2.RooflineRate]:
    """Return the rates of a result as the wire has them; a rate that is not known stays unset."""
    return [
        result_pb2.RooflineRate(name=one.name, unit=one.unit, rate_per_s=one.rate_per_s, how=one.how)
        for one in result.rates
    ]
