"""Facts and outcomes from the messages of the controller."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from steelyard.advice.checking import Outcome
from steelyard.advice.contract import Interval
from steelyard.advice.explaining import Profile, ProfiledOperator
from steelyard.advice.facts import DeviceFacts, MeasuredTimes, RuntimeFacts
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2


def device_facts(description: common_pb2.DeviceDescription) -> DeviceFacts:
    """Return the facts of a device."""
    return DeviceFacts(
        name=description.name,
        processor=description.processor,
        architecture=description.architecture,
        features=frozenset(description.processor_features),
        memory_bytes=description.memory_bytes,
        emulated_by=description.emulated_by,
        runtimes=tuple(
            RuntimeFacts(
                name=one.name,
                version=one.version,
                environment=one.environment,
                providers=tuple(one.providers),
                reason=one.reason,
            )
            for one in description.runtimes
        ),
    )


def measured_times(measurement: measurement_pb2.Measurement, digest: str, *, runtime: str) -> MeasuredTimes | None:
    """Return the times of an artifact's operators by kind, None where ``runtime`` has no profile of it there."""
    for variant in measurement.variants:
        total_ns = sum(one.mean_ns for one in variant.operators.operators)
        if (variant.artifact_digest, variant.runtime.name) == (digest, runtime) and total_ns > 0:
            shares: dict[str, float] = {}
            for one in variant.operators.operators:
                shares[one.kind] = shares.get(one.kind, 0.0) + one.mean_ns / total_ns
            return MeasuredTimes(job_id=measurement.job_id, shares=shares)
    return None


def profile_of(variant: measurement_pb2.VariantMeasurement) -> Profile:
    """Return the operators of a variant, none where it was not profiled."""
    asked = variant.runtime.providers[0].name if variant.runtime.providers else ""
    return Profile(
        operators=tuple(
            ProfiledOperator(kind=one.kind, provider=one.provider, mean_ns=one.mean_ns)
            for one in variant.operators.operators
        ),
        asked_provider=asked,
    )


def outcome_of(
    recipe: str,
    measurement: measurement_pb2.Measurement,
    artifact: control_pb2.Artifact,
) -> Outcome:
    """Return what came of the variant that ``recipe`` (in one word) made of a measurement's first model."""
    variant = next((one for one in measurement.variants if one.artifact_digest == artifact.digest), None)
    if variant is None:
        return Outcome(recipe=recipe, failure="it was not measured")
    original = measurement.variants[0]
    return Outcome(
        recipe=recipe,
        label=variant.label,
        speedup=interval_of(variant.speedup),
        size_ratio=variant.size_bytes / original.size_bytes if original.size_bytes else None,
        drop=interval_of(variant.accuracy_drop),
        reduce_range=reduced_range(artifact.lineage),
        failure=variant.failure.message,
    )


def interval_of(estimate: measurement_pb2.Estimate) -> Interval | None:
    """Return an estimate's interval, None where there is none."""
    ends = [estimate.low, estimate.value, estimate.high]
    if not (estimate.HasField("low") and estimate.HasField("value") and estimate.HasField("high")):
        return None
    if not all(map(math.isfinite, ends)) or ends != sorted(ends):
        return None
    return Interval(low=estimate.low, value=estimate.value, high=estimate.high)


def reduced_range(lineage: control_pb2.Lineage) -> bool | None:
    """Return whether a variant's weights have 7 bits, None where no step has that setting."""
    for step in lineage.steps:
        settings: Mapping[str, object] = json.loads(step.settings_json or "{}")
        if isinstance(settings.get("reduce_range"), bool):
            return bool(settings["reduce_range"])
    return None
