"""From figures of steelyard.stats to messages."""

from __future__ import annotations

from steelyard.stats.estimate import Estimate
from steelyard_protocol.v1 import measurement_pb2


def estimate_message(estimate: Estimate) -> measurement_pb2.Estimate:
    """Return an estimate as a message; what is None stays unset."""
    return measurement_pb2.Estimate(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        confidence=estimate.confidence,
        unit=estimate.unit,
        observation_count=estimate.observation_count,
        reason=estimate.reason,
    )
