"""The values of a cell's metrics, out of its measurement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.series.metric_rules import METRIC_RULES
from steelyard_protocol.v1 import measurement_pb2

# The metric's name and unit are those of its rule; the field is that of VariantMeasurement.
_ESTIMATES = {
    "p50": "p50_latency",
    "p90": "p90_latency",
    "p95": "p95_latency",
    "p99": "p99_latency",
    "response_p50": "p50_response",
    "response_p90": "p90_response",
    "response_p99": "p99_response",
    "first_step": "first_step",
    "load": "model_load",
    "first": "first_inference",
    "build": "build_time",
    "throughput": "throughput",
    "memory": "peak_memory",
    "energy": "energy",
    "net_energy": "net_energy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellValue:
    """One metric of a cell: a number in the unit of the metric's rule, a text, or the reason why there is neither."""

    metric: str
    unit: str
    value: float | None = None
    text: str = ""
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    reason: str = ""


def cell_values(
    variant: measurement_pb2.VariantMeasurement,
    metric: measurement_pb2.MetricDescription | None,
    *,
    mac_count: int | None,
) -> dict[str, CellValue]:
    """Return what a measurement says of each metric that nights know, by its name.

    Args:
        variant: Of the measurement.
        metric: What the task scores by; None without a task.
        mac_count: Of the model's file, None where it is not known.
    """
    values = [*_estimated(variant), _accuracy(variant, metric), *_exact(variant, mac_count)]
    return {one.metric: one for one in values}


def _estimated(variant: measurement_pb2.VariantMeasurement) -> Iterator[CellValue]:
    for name, field in _ESTIMATES.items():
        if variant.HasField(field):  # type: ignore[arg-type]  # every one is a message field
            yield _from(name, getattr(variant, field))
    if variant.steps:
        yield _from("per_step", variant.steps[-1].per_step)


def _from(metric: str, estimate: measurement_pb2.Estimate) -> CellValue:
    unit = METRIC_RULES[metric].unit
    if not estimate.HasField("value"):
        return CellValue(metric=metric, unit=unit, reason=estimate.reason or f"{metric} has no value")
    return CellValue(
        metric=metric,
        unit=unit,
        value=estimate.value,
        low=estimate.low if estimate.HasField("low") else None,
        high=estimate.high if estimate.HasField("high") else None,
        rounds=estimate.observation_count,
    )


def _accuracy(
    variant: measurement_pb2.VariantMeasurement, metric: measurement_pb2.MetricDescription | None
) -> CellValue:
    if not variant.HasField("accuracy") or metric is None:
        return CellValue(metric="accuracy", unit="fraction", reason="no task was given")
    if metric.unit != "fraction" or not metric.higher_is_better:
        reason = f"{metric.label or metric.kind} is not judged over nights: only shares where more is better are"
        return CellValue(metric="accuracy", unit="fraction", reason=reason)
    return _from("accuracy", variant.accuracy)


def _exact(variant: measurement_pb2.VariantMeasurement, mac_count: int | None) -> Iterator[CellValue]:
    yield CellValue(metric="size", unit="B", value=float(variant.size_bytes))
    if mac_count is not None:
        yield CellValue(metric="macs", unit="number", value=float(mac_count))
    placement = ", ".join(
        f"{one.provider} {one.node_count}" if one.HasField("node_count") else one.provider
        for one in sorted(variant.placements, key=lambda one: one.provider)
    )
    if placement:
        yield CellValue(metric="placement", unit="text", text=placement)
    if variant.numeric.outputs_digest:
        yield CellValue(metric="output_hash", unit="text", text=variant.numeric.outputs_digest)
