"""Measurement messages as a finished job gives them, with seeded numbers; for tests of what shows results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard_protocol.v1 import common_pb2, measurement_pb2, plan_pb2, result_pb2
from tests.support.recorded import MIB, NO_SENSOR, STARTED_S, artifact, device, digest_of, memory, rounds

__all__ = ["MIB", "NO_SENSOR", "STARTED_S", "artifact", "device", "digest_of", "memory", "rounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantPlan:
    """The truth that a variant's figures are drawn around. ``accuracy`` None: not evaluated."""

    label: str
    p50_ns: float
    accuracy: float | None
    size_bytes: int
    is_reference: bool = False
    memory_bytes: int = 61 * MIB
    spread: float = 0.01
    on_pareto_front: bool = False


FASHION = (
    VariantPlan(label="original", p50_ns=1.24e6, accuracy=0.9085, size_bytes=1_406_517, is_reference=True),
    VariantPlan(label="float16", p50_ns=1.31e6, accuracy=0.9085, size_bytes=706_113, memory_bytes=63 * MIB),
    VariantPlan(label="dynamic-int8", p50_ns=1.19e6, accuracy=0.9080, size_bytes=1_397_004, on_pareto_front=True),
    VariantPlan(
        label="static-int8",
        p50_ns=0.59e6,
        accuracy=0.9065,
        size_bytes=382_871,
        memory_bytes=54 * MIB,
        on_pareto_front=True,
    ),
)


def normal(plans: Sequence[VariantPlan] = FASHION, *, rounds: int = 13, seed: int = 7) -> measurement_pb2.Measurement:
    """Return a measurement of ``plans`` that ended with a decision to ship the fastest one."""
    rng = np.random.default_rng(seed)
    reference = plans[0]
    fastest = min(plans, key=lambda plan: plan.p50_ns)
    measurement = measurement_pb2.Measurement(
        job_id="job-7f3a",
        title="fashion-resnet",
        device_name="pi5-bench",
        device=device(),
        plan=_plan(plans),
        variants=[_variant(plan, reference, rng, rounds) for plan in plans],
        decision=measurement_pb2.Decision(
            kind=measurement_pb2.DECISION_KIND_SHIP,
            label=fastest.label,
            sentence=f"Ship {fastest.label} on pi5-bench: 2.10x faster than the original (2.05x to 2.16x, p50 590 us) "
            "with no accuracy loss beyond 1 pp (drop 0.2 pp, -0.1 to 0.5).",
        ),
        task_name="fashion-mnist",
        round_count=rounds,
        segment_count=1,
        controller_id="laptop-1",
        stop_reason="every interval is narrow enough",
        confidence=0.95,
    )
    measurement.started_at.FromSeconds(STARTED_S)
    measurement.finished_at.FromSeconds(STARTED_S + 94)
    return measurement


def without_accuracy() -> measurement_pb2.Measurement:
    """Return a measurement without a task: nothing was evaluated."""
    measurement = normal()
    measurement.task_name = ""
    for variant in measurement.variants:
        reason = "no task was given"
        variant.accuracy.CopyFrom(unknown("fraction", reason))
        variant.accuracy_drop.CopyFrom(unknown("pp", reason))
        variant.correct_count = variant.evaluated_count = 0
    measurement.decision.kind = measurement_pb2.DECISION_KIND_INCOMPLETE
    measurement.decision.sentence = "static-int8 is 2.10x faster on pi5-bench, but its accuracy was not measured."
    return measurement


def with_failures() -> measurement_pb2.Measurement:
    """Return a measurement in which one variant could not run, another lost blocks, and warnings were raised."""
    measurement = normal()
    failed = measurement.variants[1]
    kept = measurement_pb2.VariantMeasurement(
        artifact_digest=failed.artifact_digest,
        label=failed.label,
        name=failed.name,
        size_bytes=failed.size_bytes,
        runtime=failed.runtime,
        failure_status=result_pb2.BLOCK_STATUS_UNSUPPORTED,
        failure=common_pb2.ErrorInfo(
            reason="unsupported_op",
            message="onnxruntime has no kernel for Conv in bfloat16 on the CPU; convert the model to float32",
        ),
    )
    failed.CopyFrom(kept)
    measurement.variants[2].failed_block_count = 2
    measurement.variants[2].notes.append("2 of 15 blocks were killed from outside and repeated")
    measurement.segment_count = 2
    for one in measurement.variants:
        for point in one.rounds:
            point.segment = 1 if point.round_index >= 8 else 0
    measurement.warnings.append(
        "the measurement was interrupted once; the second segment is 1.2 % slower than the first"
    )
    measurement.warnings.append("the frequency governor is 'powersave'; set 'performance' and measure again")
    return measurement


def with_energy() -> measurement_pb2.Measurement:
    """Return a measurement on a device with a power sensor."""
    measurement = normal()
    for variant in measurement.variants:
        joules = variant.p50_latency.value * 1e-9 * 4.2
        variant.energy.CopyFrom(estimate(joules, 0.03, "J", 3))
        reading = variant.energy_readings.add(
            name="energy_per_inference", value=joules, unit="J", source="powercap/intel-rapl:0"
        )
        reading.status = common_pb2.READING_STATUS_MEASURED
        reading.scope = common_pb2.READING_SCOPE_SOC
    return measurement


def undecided() -> measurement_pb2.Measurement:
    """Return a measurement whose requirements the intervals neither meet nor fail."""
    measurement = normal()
    measurement.decision.kind = measurement_pb2.DECISION_KIND_UNDECIDED
    measurement.decision.sentence = (
        "Undecided on pi5-bench: static-int8's p90 of 610 us is too near to 600 us; measure more."
    )
    for variant in measurement.variants:
        verdict = measurement_pb2.REQUIREMENT_VERDICT_FAILS
        if variant.label == "static-int8":
            verdict = measurement_pb2.REQUIREMENT_VERDICT_UNDECIDED
        variant.requirements.add(requirement="p90<600us", verdict=verdict, because="p90 is 610 us (590 to 630)")
        variant.requirements.add(
            requirement="drop<1pp",
            verdict=measurement_pb2.REQUIREMENT_VERDICT_MEETS,
            because="drop is 0.2 pp (-0.1 to 0.5)",
        )
    return measurement


def crowded() -> measurement_pb2.Measurement:
    """Return a measurement of twelve variants that lie close together."""
    names = ["original"] + [
        f"{kind}-{level}" for kind in ("prune", "distil", "static-int8", "float16") for level in (1, 2, 3)
    ]
    rng = np.random.default_rng(3)
    plans = [
        VariantPlan(
            label=name,
            p50_ns=9.2e6 * math.exp(-0.11 * index + 0.04 * float(rng.standard_normal())),
            accuracy=0.768 - 0.0018 * index - 0.004 * abs(float(rng.standard_normal())),
            size_bytes=int(18.8e6 * 0.87**index),
            is_reference=index == 0,
            memory_bytes=int((120 - 5 * index) * MIB),
            on_pareto_front=index % 3 != 1,
        )
        for index, name in enumerate(names[:12])
    ]
    measurement = normal(plans)
    measurement.title = "efficientnet-lite0"
    return measurement


def long_labels() -> measurement_pb2.Measurement:
    """Return a measurement whose labels and names are as long as people make them."""
    measurement = normal()
    for index, variant in enumerate(measurement.variants):
        variant.label = f"{variant.label}-per-channel-entropy-calibrated-512-samples-without-the-first-layer-v{index}"
        measurement.plan.artifacts[index].label = variant.label
    measurement.title = "a-model-with-a-name-that-somebody-thought-about-for-far-too-long-2026-11-23-final-final"
    measurement.decision.label = measurement.variants[3].label
    return measurement


def extreme() -> measurement_pb2.Measurement:
    """Return a measurement whose latencies span six orders of magnitude."""
    plans = (
        VariantPlan(label="original", p50_ns=8.4e9, accuracy=0.5, size_bytes=1_900_000_000, is_reference=True),
        VariantPlan(label="tiny", p50_ns=740.0, accuracy=0.999, size_bytes=312, on_pareto_front=True, spread=0.2),
        VariantPlan(label="huge", p50_ns=3.1e10, accuracy=0.001, size_bytes=2_100_000_000, memory_bytes=9000 * MIB),
    )
    return normal(plans)


def hostile() -> measurement_pb2.Measurement:
    """Return a measurement whose texts try to be markup."""
    measurement = normal()
    measurement.title = "<script>alert(1)</script>"
    measurement.variants[1].label = "[bold]x[/bold]<b>&\"'"
    measurement.warnings.append("</style><img src=x onerror=alert(1)> [red]not red[/red]")
    measurement.decision.sentence = "Ship <i>it</i> & [b]go[/b]."
    return measurement


def nothing_measured() -> measurement_pb2.Measurement:
    """Return a measurement in which every variant failed."""
    measurement = normal()
    for variant in measurement.variants:
        label, reference = variant.label, variant.is_reference
        variant.Clear()
        variant.label, variant.is_reference = label, reference
        variant.failure_status = result_pb2.BLOCK_STATUS_CRASHED
        variant.failure.message = f"{label} crashed in 3 of 3 tries (SIGSEGV while loading); look at the worker's log"
    measurement.decision.kind = measurement_pb2.DECISION_KIND_INCOMPLETE
    measurement.decision.sentence = "No variant of fashion-resnet could be measured on pi5-bench."
    return measurement


def every_case() -> dict[str, measurement_pb2.Measurement]:
    """Return all of the above by name."""
    makers = (
        normal,
        without_accuracy,
        with_failures,
        with_energy,
        undecided,
        crowded,
        long_labels,
        extreme,
        hostile,
        nothing_measured,
    )
    return {maker.__name__: maker() for maker in makers} | {"empty": measurement_pb2.Measurement()}


def estimate(value: float, relative: float, unit: str, count: int) -> measurement_pb2.Estimate:
    """Return an estimate with an interval that is a little wider above than below."""
    return measurement_pb2.Estimate(
        value=value,
        low=value * (1 - relative),
        high=value * (1 + 1.2 * relative),
        confidence=0.95,
        unit=unit,
        observation_count=count,
    )


def unknown(unit: str, reason: str) -> measurement_pb2.Estimate:
    """Return the estimate that stands where nothing is known."""
    return measurement_pb2.Estimate(unit=unit, reason=reason, confidence=0.95)


def _plan(plans: Sequence[VariantPlan]) -> plan_pb2.Plan:
    plan = plan_pb2.Plan(
        timing=plan_pb2.TimingSpec(
            sample_window_ms=200, warmup_window_ms=50, warmup_tolerance=0.03, warmup_cap_ms=2000, min_sample_count=30
        ),
        inputs=plan_pb2.InputSpec(data_digest="ab" * 32, data_size_bytes=1_500_000),
        evaluation=plan_pb2.EvaluationSpec(data_digest="ab" * 32, reducer=plan_pb2.REDUCER_ARGMAX, batch_size=16),
        block_timeout_ms=60_000,
    )
    for one in plans:
        plan.artifacts.add(
            artifact_digest=digest_of(one.label), label=one.label, size_bytes=one.size_bytes, runtime=_runtime()
        )
    return plan


def _runtime() -> plan_pb2.RuntimeSpec:
    return plan_pb2.RuntimeSpec(name="onnxruntime", intra_op_thread_count=1, inter_op_thread_count=1)


def _variant(
    plan: VariantPlan, reference: VariantPlan, rng: np.random.Generator, rounds: int
) -> measurement_pb2.VariantMeasurement:
    medians = plan.p50_ns * np.exp(plan.spread * rng.standard_normal(rounds))
    samples = plan.p50_ns * np.exp(0.015 * rng.standard_normal(4000)) + rng.exponential(plan.p50_ns * 0.03, 4000)
    tail = rng.random(4000) < 0.01
    samples = np.where(tail, samples * 2.5, samples)
    variant = measurement_pb2.VariantMeasurement(
        artifact_digest=digest_of(plan.label),
        label=plan.label,
        name=f"fashion-resnet.{plan.label}",
        is_reference=plan.is_reference,
        size_bytes=plan.size_bytes,
        runtime=_runtime(),
        runtime_version="1.32.0",
        providers=["CPUExecutionProvider"],
        p50_latency=estimate(float(np.exp(np.log(medians).mean())), plan.spread * 0.6, "ns", rounds),
        p90_latency=estimate(float(np.quantile(samples, 0.9)), plan.spread * 0.9, "ns", rounds),
        model_load=estimate(2.2e7 * plan.size_bytes / 1e6 + 4e6, 0.05, "ns", rounds),
        first_inference=estimate(plan.p50_ns * 2.9, 0.06, "ns", rounds),
        peak_memory=estimate(plan.memory_bytes - 42.0 * MIB, 0.01, "B", rounds),
        energy=unknown("J", NO_SENSOR),
        memory=memory(plan.memory_bytes),
        latency_quantiles_ns=[float(value) for value in np.quantile(samples, np.linspace(0, 1, 101))],
        sample_count=4000,
        on_pareto_front=plan.on_pareto_front,
    )
    for index, median in enumerate(medians):
        variant.rounds.add(round_index=index, p50_ns=float(median), p90_ns=float(median) * 1.1)
    if not plan.is_reference:
        ratio = reference.p50_ns / plan.p50_ns
        variant.speedup.CopyFrom(estimate(ratio, 0.025, "ratio", rounds))
        variant.comparison = _verdict(ratio)
    _evaluate(variant, plan, reference)
    return variant


def _evaluate(variant: measurement_pb2.VariantMeasurement, plan: VariantPlan, reference: VariantPlan) -> None:
    if plan.accuracy is None:
        variant.accuracy.CopyFrom(unknown("fraction", "not evaluated"))
        return
    half = 1.96 * math.sqrt(plan.accuracy * (1 - plan.accuracy) / 2000)
    variant.accuracy.CopyFrom(
        measurement_pb2.Estimate(
            value=plan.accuracy,
            low=max(0.0, plan.accuracy - half * 1.03),
            high=min(1.0, plan.accuracy + half * 0.97),
            confidence=0.95,
            unit="fraction",
            observation_count=2000,
        )
    )
    variant.evaluated_count = 2000
    variant.correct_count = round(2000 * plan.accuracy)
    if not plan.is_reference and reference.accuracy is not None:
        drop = 100 * (reference.accuracy - plan.accuracy)
        variant.accuracy_drop.CopyFrom(
            measurement_pb2.Estimate(
                value=drop, low=drop - 0.3, high=drop + 0.34, confidence=0.95, unit="pp", observation_count=2000
            )
        )


def _verdict(ratio: float) -> measurement_pb2.ComparisonVerdict:
    if ratio > 1.03:
        return measurement_pb2.COMPARISON_VERDICT_FASTER
    if ratio < 0.97:
        return measurement_pb2.COMPARISON_VERDICT_SLOWER
    return measurement_pb2.COMPARISON_VERDICT_UNDECIDED
