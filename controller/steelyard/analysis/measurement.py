"""All that a measurement says, computed anew from its recorded rounds: figures, comparisons, the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from steelyard.analysis import emulation
from steelyard.analysis.device_energy import drift_warnings, idle_power
from steelyard.analysis.external_energy import external_readings, external_warnings
from steelyard.analysis.external_rounds import read_meters
from steelyard.analysis.memory import add_device_memory
from steelyard.analysis.mode_message import add_mode_figures
from steelyard.analysis.numeric import NumericEvidence, add_numeric, not_shippable, numeric_warnings
from steelyard.analysis.operators import add_operators, device_rates
from steelyard.analysis.prepared import cache_warning
from steelyard.analysis.primary import primary_of
from steelyard.analysis.round_times import measured_between
from steelyard.analysis.scoring import Scored, metric_of, score_each, score_of
from steelyard.analysis.segment_warnings import changed_circumstances, segment_warnings
from steelyard.analysis.session_history import replacement_sentence, spread_sentence
from steelyard.analysis.stop import CONFIDENCE, LookConfidence, StopPolicy
from steelyard.analysis.surroundings import merged_circumstances, merged_throttle, surroundings_warnings
from steelyard.analysis.validity import mark_cut_short, repeated_round_count, rounds_that_count
from steelyard.analysis.variant_message import Scores, VariantAnalysis, analyse_variant
from steelyard.analysis.variant_rounds import VariantRounds, collect
from steelyard.analysis.wire import estimate_message, metric_message
from steelyard.layers.contract import LayerTable
from steelyard.stats.estimate import Estimate, negated
from steelyard.stats.pareto import Point, pareto_front
from steelyard.stats.shipping import Candidate, DecisionKind, choose
from steelyard.stats.task_metric import TaskMetric
from steelyard.stats.tolerance import default_tolerance
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2, plan_pb2, result_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementInput:
    """Everything that was recorded of one job; ``outputs`` are the reduced outputs (.npz bytes) by label.

    ``truth`` are the arrays of the task's truth by name, none without a task or for one without labels.
    """

    job: control_pb2.Job
    request: control_pb2.SubmitMeasurementRequest
    rounds: Sequence[result_pb2.RoundResult]
    artifacts: Mapping[str, control_pb2.Artifact]
    task: control_pb2.Task | None
    truth: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, bytes]
    device: common_pb2.DeviceDescription
    controller_id: str
    # What external meters said beside the energy pass.
    traces: Sequence[control_pb2.MeterTrace] = ()
    # By label, since sizes change counts: the layers of its file, or why they are not known; empty when nobody asked.
    layers: Mapping[str, LayerTable | str] = field(default_factory=dict)
    # By label: what the device and others answered to the inputs of the numeric check.
    numeric: Mapping[str, NumericEvidence] = field(default_factory=dict)
    # What earlier sessions on the device left behind; None in records from before it was kept.
    history: control_pb2.SessionHistory | None = None


def build_measurement(given: MeasurementInput) -> measurement_pb2.Measurement:
    """Return what the rounds allow to be said."""
    given = replace(given, device=emulation.as_measured(given.device, given.rounds))
    planned = given.request.plan.artifacts
    labels = [one.label for one in planned]
    emulated_by = given.device.emulated_by
    latency = [one for one in given.rounds if one.pass_kind == result_pb2.PASS_LATENCY]
    metric = score_of(given.task)
    policy = StopPolicy.of(
        given.request, job_id=given.job.job_id, emulated_by=emulated_by, history=given.history, score=metric
    )
    variants = collect(
        given.rounds,
        labels,
        no_energy_because=_no_energy_because(given.device),
        emulated_by=emulated_by,
        mode=given.request.plan.mode,
    )
    analyses = _analyse(given, variants, policy, policy.look_confidence(latency))
    messages = [one.message for one in analyses]
    add_numeric(given.request.plan, messages, given.numeric, asks_layers=given.request.check_layers)
    analyses = [_barred_by_outputs(one) for one in analyses]
    _mark_front(analyses, metric)
    meters = read_meters(given.request.meters, rounds_that_count(given.rounds), given.traces)
    for one in messages:
        add_mode_figures(one, variants[one.label], given.request.plan, CONFIDENCE)
        one.external_energy_readings.extend(external_readings(one.label, meters))
    rates, probe_trouble = device_rates(given.rounds)
    add_operators(given.request.plan, messages, given.rounds, given.layers, emulated_by)
    if not emulated_by:
        add_device_memory(given.request.plan, messages, given.rounds)
    measurement = measurement_pb2.Measurement(
        job_id=given.job.job_id,
        title=given.request.title,
        device_name=given.device.name or given.request.device,
        device=given.device,
        plan=given.request.plan,
        variants=messages,
        decision=_decision(analyses, given.device.name or given.request.device, emulated_by, metric),
        task_name=given.task.name if given.task is not None else "",
        task_id=given.request.task_id,
        round_count=len(rounds_that_count(latency)),
        repeated_round_count=repeated_round_count(given.rounds),
        segment_count=len({one.segment for one in latency}),
        warnings=[*_warnings(given, list(variants.values())), *([probe_trouble] if probe_trouble else [])],
        roofline=() if emulated_by else rates,
        controller_id=given.controller_id,
        stop_reason=_stop_reason(given, policy, latency),
        confidence=CONFIDENCE,
        session_spread=spread_sentence(policy.spreads),
        primary_figure=primary_of(given.request.plan.mode).words,
        circumstances=merged_circumstances(given.rounds),
        throttle=merged_throttle(given.rounds),
    )
    if metric is not None:
        measurement.metric.CopyFrom(metric_message(metric))
    if not emulated_by:
        _add_idle(measurement, given.rounds, list(variants.values()))
    measurement.warnings.extend(filter(None, [replacement_sentence(given.request.plan, given.history)]))
    measurement.warnings.extend(external_warnings(meters))
    measurement.warnings.extend(numeric_warnings(messages))
    mark_cut_short(measurement, policy.why_cut_short(latency), given.request.min_round_count)
    _add_times(measurement, given)
    return measurement


def _add_times(measurement: measurement_pb2.Measurement, given: MeasurementInput) -> None:
    if given.rounds:
        started_ns, finished_ns = measured_between(given.job, given.rounds)
        measurement.started_at.FromNanoseconds(started_ns)
        measurement.finished_at.FromNanoseconds(finished_ns)


def _analyse(
    given: MeasurementInput, variants: Mapping[str, VariantRounds], policy: StopPolicy, look: LookConfidence
) -> list[VariantAnalysis]:
    planned = given.request.plan.artifacts
    reference = variants[planned[0].label]
    scored = scored_answers(given)
    return [
        analyse_variant(
            planned=one,
            artifact=given.artifacts[one.artifact_digest],
            rounds=variants[one.label],
            reference=reference,
            is_reference=index == 0,
            is_same_model=index > 0 and _is_same_model(planned[0], one),
            scores=Scores(metric=score_of(given.task), mine=scored[one.label], reference=scored[planned[0].label]),
            requirements=policy.requirements,
            thresholds=policy.thresholds,
            confidence=CONFIDENCE,
            look=look,
            spreads=policy.spreads.get(one.label, {}),
        )
        for index, one in enumerate(planned)
    ]


def _barred_by_outputs(one: VariantAnalysis) -> VariantAnalysis:
    """Return what was found of a variant, with what its outputs on the device say against shipping it."""
    return replace(one, candidate=replace(one.candidate, barred=not_shippable(one.message.numeric)))


def _is_same_model(first: plan_pb2.PlannedArtifact, other: plan_pb2.PlannedArtifact) -> bool:
    """Return whether two artifacts of a plan are one file on one runtime and provider: kernels decide the outputs."""
    one, two = first.runtime, other.runtime
    same_kernels = (one.name, one.environment, list(one.providers)) == (two.name, two.environment, list(two.providers))
    same_graph = one.graph_optimization == two.graph_optimization and dict(one.options) == dict(two.options)
    return first.artifact_digest == other.artifact_digest and same_kernels and same_graph


def scored_answers(given: MeasurementInput) -> dict[str, Scored]:
    """Return what the task's metric says of each artifact's answers, by label; nothing without a task."""
    labels = [one.label for one in given.request.plan.artifacts]
    if given.task is None:
        return {label: Scored() for label in labels}
    return score_each(metric_of(given.task), given.truth, given.outputs, labels)


def _add_idle(
    measurement: measurement_pb2.Measurement,
    rounds: Sequence[result_pb2.RoundResult],
    variants: Sequence[VariantRounds],
) -> None:
    """Add the idle power and what its baselines warn of, by the source that the first model's energy is of."""
    energy_rounds = [one for one in rounds_that_count(rounds) if one.pass_kind == result_pb2.PASS_ENERGY]
    source = next((found.source for one in variants if (found := one.read_energy()).source is not None), None)
    measurement.idle_power.CopyFrom(estimate_message(idle_power(energy_rounds, source, CONFIDENCE)))
    measurement.warnings.extend(drift_warnings(energy_rounds, source))


def _no_energy_because(device: common_pb2.DeviceDescription) -> str:
    """Return why a device reads neither energy nor power, "" when it reads one of them."""
    meters = [meter for meter in device.meters if meter.unit in ("J", "W")]
    if any(meter.status == common_pb2.READING_STATUS_MEASURED for meter in meters):
        return ""
    return "; ".join(dict.fromkeys(meter.reason for meter in meters)) or "the device described no power meter"


def _stop_reason(given: MeasurementInput, policy: StopPolicy, latency: Sequence[result_pb2.RoundResult]) -> str:
    """Return why measuring ended, "" while it has not; with the job that an extension goes on with."""
    reason = policy.decide(latency).reason
    extended = given.request.extended_job_id
    if not (reason and extended):
        return reason
    earlier = sum(one.job_id != given.job.job_id for one in latency)
    return f"{reason}; {earlier} of them are those of job {extended[:12]}, which this one extends"


def _mark_front(analyses: Sequence[VariantAnalysis], metric: TaskMetric | None) -> None:
    measured = [one for one in analyses if one.candidate.time.value is not None and not one.candidate.barred]

    def where_known(one: VariantAnalysis, metric: str) -> Estimate | None:
        """Return a figure that every measured variant has: one without it could neither win nor lose."""
        return one.figures[metric] if all(each.figures[metric].value is not None for each in measured) else None

    def turned(score: Estimate | None) -> Estimate | None:
        """Return a score of which more is better."""
        return score if score is None or metric is None or metric.higher_is_better else negated(score)

    front = pareto_front(
        [
            Point(
                label=one.message.label,
                latency=one.candidate.time,
                accuracy=turned(where_known(one, "accuracy")),
                size_bytes=one.message.size_bytes,
                memory=where_known(one, "memory"),
                energy=where_known(one, "energy"),
            )
            for one in measured
        ]
    )
    for one in analyses:
        one.message.on_pareto_front = one.message.label in front


def _decision(
    analyses: Sequence[VariantAnalysis], device: str, emulated_by: str, metric: TaskMetric | None
) -> measurement_pb2.Decision:
    candidates: list[Candidate] = [one.candidate for one in analyses]
    tolerance = None if metric is None else default_tolerance(metric, analyses[0].figures["accuracy"])
    choice = choose(candidates, device=device, tolerance=tolerance)
    # What is shipped is chosen by speed; that nothing is accurate or small enough can be said without it.
    if emulated_by and candidates[0].failed == "" and choice.kind is not DecisionKind.UNMET:
        return measurement_pb2.Decision(
            kind=measurement_pb2.DECISION_KIND_INCOMPLETE, sentence=emulation.no_decision(device, emulated_by)
        )
    return measurement_pb2.Decision(
        kind=measurement_pb2.DecisionKind.Value(f"DECISION_KIND_{choice.kind.value}"),
        label=choice.label,
        sentence=choice.sentence,
    )


def _warnings(given: MeasurementInput, variants: Sequence[VariantRounds]) -> list[str]:
    emulated_by = given.device.emulated_by
    warnings = [emulation.warning(emulated_by)] if emulated_by else _warnings_on_time(variants)
    warnings += changed_circumstances([one for one in given.rounds if one.pass_kind == result_pb2.PASS_LATENCY])
    if given.task is None:
        warnings.append("accuracy was not measured: no task was named (--task FILE)")
    return warnings


def _warnings_on_time(variants: Sequence[VariantRounds]) -> list[str]:
    warnings = segment_warnings(variants)
    for one in variants:
        cached = cache_warning(one)
        if cached:
            warnings.append(cached)
        if one.summary == "mean":
            warnings.append(f"{one.label}: p50 is the mean of each round; the program on the device tells no median")
        # Unset where nobody looked for a steady state.
        looked = [timed.block for timed in one.timed if timed.block.HasField("warmup_steady")]
        unsteady = sum(1 for block in looked if not block.warmup_steady)
        if unsteady:
            warnings.append(f"{one.label}: no steady state within the warm-up in {unsteady} of {len(one.timed)} blocks")
    return warnings + surroundings_warnings(variants)
