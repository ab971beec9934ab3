"""From figures of steelyard.stats to messages."""

from __future__ import annotations

from steelyard.stats.estimate import Estimate
from steelyard.stats.task_metric import TaskMetric
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


def metric_message(metric: TaskMetric) -> measurement_pb2.MetricDescription:
    """Return what a task measures as a message."""
    return measurement_pb2.MetricDescription(
        kind=metric.kind, label=metric.label, unit=metric.unit, higher_is_better=metric.higher_is_better
    )
