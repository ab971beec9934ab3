"""Estimates of a measurement as people read them: a figure, its interval, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steelyard.stats.energy import NOT_DISTINGUISHABLE
from steelyard.stats.estimate import Estimate
from steelyard.stats.formatting import format_estimate, format_value
from steelyard_protocol.v1 import measurement_pb2, result_pb2

NOT_MEASURED = "not measured"
NO_REASON = "no reason was recorded"
_NO_INTERVAL = "no interval was computed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure for people.

    ``value`` is "1.23 ms", "not measured", or of a net energy "not distinguishable from idle"; ``interval`` is "1.21 to
    1.25" in the unit of the value, "" without one;
    ``reason`` says why the value or its interval is missing, "" when both are there.
    """

    value: str
    interval: str
    reason: str
    is_known: bool


def is_known(estimate: measurement_pb2.Estimate) -> bool:
    """Whether the estimate holds a finite value."""
    return estimate.HasField("value") and math.isfinite(estimate.value)


def has_interval(estimate: measurement_pb2.Estimate) -> bool:
    """Whether the estimate holds a value within a finite interval."""
    if not (is_known(estimate) and estimate.HasField("low") and estimate.HasField("high")):
        return False
    ends = (estimate.low, estimate.value, estimate.high)
    return all(map(math.isfinite, ends)) and estimate.low <= estimate.value <= estimate.high


def figure(estimate: measurement_pb2.Estimate) -> Figure:
    """Return the estimate for people."""
    if not is_known(estimate):
        return Figure(value=NOT_MEASURED, interval="", reason=estimate.reason or NO_REASON, is_known=False)
    if not has_interval(estimate):
        value = format_value(estimate.value, estimate.unit)
        return Figure(value=value, interval="", reason=estimate.reason or _NO_INTERVAL, is_known=True)
    if estimate.reason == NOT_DISTINGUISHABLE:
        low, high = (format_value(end, estimate.unit) for end in (estimate.low, estimate.high))
        return Figure(value=NOT_DISTINGUISHABLE, interval=f"{low} to {high}", reason="", is_known=True)
    # One text with one unit and as many digits as tell the ends apart: "1.23 ms (1.21 to 1.25)".
    value, _, interval = format_estimate(_with_interval(estimate)).partition(" (")
    return Figure(value=value, interval=interval.rstrip(")"), reason="", is_known=True)


def one_line(estimate: measurement_pb2.Estimate) -> str:
    """Return "1.23 ms (1.21 to 1.25)", "1.23 ms", or "not measured"."""
    shown = figure(estimate)
    return f"{shown.value} ({shown.interval})" if shown.interval else shown.value


def cached_text(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return whether the timed loads of a variant that is compiled on the device came from the cache."""
    return "every time" if variant.prepared else "not every time"


def failed(variant: measurement_pb2.VariantMeasurement) -> bool:
    """Whether the variant could not be measured at all."""
    return variant.failure_status not in {result_pb2.BLOCK_STATUS_UNSPECIFIED, result_pb2.BLOCK_STATUS_OK}


def failure_text(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return the status of a failed variant in words, and why: "unsupported: onnxruntime has no kernel for …"."""
    name = result_pb2.BlockStatus.Name(variant.failure_status).removeprefix("BLOCK_STATUS_")
    return f"{name.lower().replace('_', ' ')}: {variant.failure.message or NO_REASON}"


def comparison_text(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return the verdict beside the reference in words: "faster", "no difference", "not compared"."""
    if variant.comparison == measurement_pb2.COMPARISON_VERDICT_UNSPECIFIED:
        return "not compared"
    name = measurement_pb2.ComparisonVerdict.Name(variant.comparison)
    return name.removeprefix("COMPARISON_VERDICT_").lower().replace("_", " ")


def detectable_text(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return "would show 1.3 %", the least change that the rounds of a comparison show; "" where that is not known."""
    effect = variant.minimum_detectable_effect
    return f"would show {format_value(effect.value, effect.unit)}" if is_known(effect) else ""


def mcnemar_text(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return "McNemar p = 0.031" of the accuracy beside the first variant's, "" where it was not compared."""
    return f"McNemar p = {variant.mcnemar_p:.2g}" if variant.HasField("mcnemar_p") else ""


def requirement_text(outcome: measurement_pb2.RequirementOutcome) -> str:
    """Return the verdict on a requirement in words: "meets", "fails", "undecided"."""
    return measurement_pb2.RequirementVerdict.Name(outcome.verdict).removeprefix("REQUIREMENT_VERDICT_").lower()


def runtime_text(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return "onnxruntime 1.32.0", behind an "@" the environment it was in, no version where that is not known."""
    environment = f"@{variant.runtime.environment}" if variant.runtime.environment else ""
    return f"{variant.runtime.name}{environment} {variant.runtime_version}".strip()


def _with_interval(estimate: measurement_pb2.Estimate) -> Estimate:
    return Estimate(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        # What the interval's confidence was changes none of its digits; an unset one is no reason to refuse.
        confidence=estimate.confidence or 0.95,
        unit=estimate.unit or "units",
        observation_count=estimate.observation_count,
    )
