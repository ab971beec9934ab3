"""A plan's mode in words, and the figure that its variants are compared by as a time."""

from __future__ import annotations

from steelyard.report.figures import has_interval, is_known
from steelyard_protocol.v1 import measurement_pb2, plan_pb2

_RATES = frozenset({plan_pb2.MODE_OFFLINE, plan_pb2.MODE_MULTI_STREAM})
_NS_PER_S = 1e9
_Variant = measurement_pb2.VariantMeasurement


def mode_text(plan: plan_pb2.Plan) -> str:
    """Return "paced at 20/s, even arrivals", "sustained over 5 min"; "" for a single stream."""
    mode = plan.mode
    texts = {
        plan_pb2.MODE_OFFLINE: "offline",
        plan_pb2.MODE_PACED: f"paced at {mode.rate_hz:g}/s, {'random' if mode.random_arrivals else 'even'} arrivals",
        plan_pb2.MODE_MULTI_STREAM: f"{mode.stream_count} streams",
        plan_pb2.MODE_SUSTAINED: f"sustained over {duration_text(mode.duration_ms)}",
        plan_pb2.MODE_STEPWISE: f"step by step, {', '.join(map(str, mode.step_counts))} steps",
    }
    batches = {one.batch_size for one in plan.artifacts}
    batch = f"batch {next(iter(batches))}" if len(batches) == 1 and batches != {0} else ""
    return ", ".join(filter(None, [texts.get(mode.mode, ""), batch]))


def duration_text(duration_ms: int) -> str:
    """Return "300 ms", "45 s", "5 min", "1.5 h"."""
    for unit, unit_ms in (("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if duration_ms >= unit_ms:
            return f"{duration_ms / unit_ms:.3g} {unit}"
    return f"{duration_ms} ms"


def primary_estimate(variant: _Variant, plan: plan_pb2.Plan) -> measurement_pb2.Estimate:
    """Return the figure that the variants of a plan are compared by, as people read it."""
    mode = plan.mode.mode
    if mode in _RATES:
        return variant.throughput
    if mode == plan_pb2.MODE_STEPWISE:
        return variant.steps[-1].total if variant.steps else measurement_pb2.Estimate(unit="ns", reason="no steps")
    fields = {plan_pb2.MODE_PACED: variant.p50_response, plan_pb2.MODE_SUSTAINED: variant.curve_end}
    return fields.get(mode, variant.p50_latency)


def primary_time(variant: _Variant, plan: plan_pb2.Plan) -> measurement_pb2.Estimate:
    """Return the same as a time (ns), the shorter the better: of a rate, the time a sample."""
    shown = primary_estimate(variant, plan)
    if plan.mode.mode not in _RATES or not is_known(shown) or shown.value <= 0:
        return shown
    time = measurement_pb2.Estimate()
    time.CopyFrom(shown)
    time.unit, time.value = "ns", _NS_PER_S / shown.value
    if has_interval(shown) and shown.low > 0:
        time.low, time.high = _NS_PER_S / shown.high, _NS_PER_S / shown.low
    return time


def time_words(measurement: measurement_pb2.Measurement) -> str:
    """Return what ``primary_time`` is called on an axis: "p50 latency", "time a sample"."""
    if measurement.plan.mode.mode in _RATES:
        return "time a sample"
    words = measurement.primary_figure or "p50"
    return "p50 latency" if words == "p50" else words
