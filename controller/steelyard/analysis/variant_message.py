"""One variant of a measurement: its figures with intervals, beside the reference, as a message and as a candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.analysis.beside_reference import comparison_of, speedup_of
from steelyard.analysis.comparison_notes import comparison_notes
from steelyard.analysis.device_energy import loading_note
from steelyard.analysis.memory import median_memory
from steelyard.analysis.mode_figures import MODE_FIGURES
from steelyard.analysis.prepared import build_time, loads_are_cached
from steelyard.analysis.scoring import Scored, accuracy_of, drop_of
from steelyard.analysis.stop import LookConfidence
from steelyard.analysis.surroundings import throttled_block_count
from steelyard.analysis.validity import validity_counts
from steelyard.analysis.variant_rounds import METRICS_OF_ROUNDS, VariantRounds
from steelyard.analysis.wire import estimate_message
from steelyard.stats.comparison import Comparison
from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.mcnemar import mcnemar
from steelyard.stats.percentiles import pooled_quantiles
from steelyard.stats.requirements import Outcome, Requirement, decide
from steelyard.stats.session_spread import SessionSpread, no_narrower_each
from steelyard.stats.shipping import Candidate
from steelyard.stats.task_metric import TaskMetric
from steelyard.stats.thresholds import Thresholds
from steelyard_protocol.v1 import control_pb2, measurement_pb2, plan_pb2, result_pb2

# How the worker marks its note on a trend within one launch.
_DRIFT = "Mann-Kendall"
# The metrics that an artifact has by itself, without labels or another artifact beside it.
_OWN = (
    *("p50", "p90", "p95", "p99", "load", "first", "memory", "size", "build"),
    *("energy", "net_energy", "mean_power"),
    *MODE_FIGURES,
)
# They say why they are not there.
_ENERGY_FIELDS = ("net_energy", "mean_power")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantAnalysis:
    """What was found about one variant, for the wire and for the choice; ``figures`` are by metric."""

    message: measurement_pb2.VariantMeasurement
    candidate: Candidate
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The answers of a variant and of the reference by the task's metric, which is None where no task was named."""

    metric: TaskMetric | None
    mine: Scored
    reference: Scored

    @property
    def name(self) -> str:
        """What the task measures."""
        return "accuracy" if self.metric is None else self.metric.name

    def accuracy(self, rounds: VariantRounds, confidence: float) -> Estimate:
        """Return the variant's score, or why there is none."""
        if self.metric is None:
            return unknown("fraction", "no task was named (--task FILE)", confidence=confidence)
        if self.mine.answers is None and not self.mine.reason:
            reason = rounds.failed[0].error.message if rounds.failed else "the evaluation did not run"
            return unknown(self.metric.unit, reason, confidence=confidence)
        return accuracy_of(self.mine, self.metric, confidence=confidence)

    def drop(self, *, is_reference: bool, confidence: float) -> Estimate:
        """Return how much worse than the reference it scores."""
        score = self.metric or TaskMetric()
        return drop_of(self.mine, self.reference, score, is_reference=is_reference, confidence=confidence)

    def shown_drop(self, drop: Estimate) -> Estimate:
        """Return the drop, or why it says nothing: 200 dB less 34 dB are no figure that anybody asks for."""
        if self.metric is None or not self.reference.is_truth or self.metric.unit == "fraction":
            return drop
        reason = f"{self.name} is held against the first model's outputs already: read it by itself"
        return unknown(drop.unit, reason, confidence=drop.confidence)


def analyse_variant(
    *,
    planned: plan_pb2.PlannedArtifact,
    artifact: control_pb2.Artifact,
    rounds: VariantRounds,
    reference: VariantRounds,
    is_reference: bool,
    is_same_model: bool,
    scores: Scores,
    requirements: Sequence[Requirement],
    thresholds: Thresholds,
    confidence: float,
    look: LookConfidence,
    spreads: Mapping[str, SessionSpread],
) -> VariantAnalysis:
    """Return every figure of one variant.

    Args:
        planned: Its place in the plan.
        artifact: What is known of the model.
        rounds: Its blocks.
        reference: The blocks of the first artifact, which speed-up and drop are against.
        is_reference: Whether it is that artifact.
        is_same_model: Whether it is that artifact's file, run by the same kernels under other settings.
        scores: Its answers and those of the reference.
        requirements: What to hold the figures against.
        thresholds: Which changes of the median matter.
        confidence: Of the intervals.
        look: Of the intervals that verdicts are read off; the stop rule's looks have been paid for in it.
        spreads: By figure, how much the device's sessions differ, which no interval is narrower than.
    """
    comparison = None if is_reference else comparison_of(reference, rounds, look, thresholds)
    figures = no_narrower_each(_estimates(rounds, _OWN, artifact, confidence), spreads)
    figures["accuracy"] = scores.accuracy(rounds, confidence)
    lost = scores.drop(is_reference=is_reference, confidence=confidence)
    figures["drop"] = scores.shown_drop(lost)
    if scores.metric is not None:
        figures[scores.metric.kind] = figures["accuracy"]
    figures["speedup"] = exact(1.0, "ratio") if is_reference else speedup_of(comparison, rounds, reference, confidence)
    outcomes = _outcomes(rounds, requirements, artifact, figures, look.requirement, spreads)
    message = _message(planned, artifact, rounds, figures, outcomes, is_reference=is_reference)
    if comparison is not None:
        _add_comparison(message, comparison, rounds.primary.words)
    _add_answers(message, scores, is_reference=is_reference)
    candidate = replace(
        _candidate(planned, rounds, scores, confidence),
        is_reference=is_reference,
        size_bytes=artifact.size_bytes,
        speedup=comparison,
        is_same_model=is_same_model,
        accuracy_drop=lost if scores.metric is not None and not is_reference else None,
        outcomes=tuple(outcomes),
    )
    return VariantAnalysis(message=message, candidate=candidate, figures=figures)


def _candidate(
    planned: plan_pb2.PlannedArtifact, rounds: VariantRounds, scores: Scores, confidence: float
) -> Candidate:
    time = rounds.primary_time(confidence)
    return Candidate(
        label=planned.label,
        time=time,
        figure_name=rounds.primary.words,
        shown=rounds.primary.shown(time),
        score_name=scores.name,
        is_truth=scores.mine.is_truth,
        failed="" if rounds.timed else rounds.why_nothing(),
    )


def _estimates(
    rounds: VariantRounds, metrics: Iterable[str], artifact: control_pb2.Artifact, confidence: float
) -> dict[str, Estimate]:
    return {one: rounds.estimate(one, size_bytes=artifact.size_bytes, confidence=confidence) for one in metrics}


def _outcomes(
    rounds: VariantRounds,
    requirements: Sequence[Requirement],
    artifact: control_pb2.Artifact,
    figures: Mapping[str, Estimate],
    confidence: float,
    spreads: Mapping[str, SessionSpread],
) -> list[Outcome]:
    """Hold figures against requirements; those over rounds at the confidence that pays for the stop rule's looks."""
    asked = METRICS_OF_ROUNDS.intersection(one.metric for one in requirements)
    held = {**figures, **no_narrower_each(_estimates(rounds, asked, artifact, confidence), spreads)}
    return [decide(one, held[one.metric]) for one in requirements]


def _add_comparison(message: measurement_pb2.VariantMeasurement, comparison: Comparison, words: str) -> None:
    verdict = f"COMPARISON_VERDICT_{comparison.verdict.value}"
    message.comparison = measurement_pb2.ComparisonVerdict.Value(verdict)
    message.notes.extend(comparison_notes(comparison, words))
    message.minimum_detectable_effect.CopyFrom(estimate_message(comparison.detectable_effect))
    if comparison.ranks is not None:
        message.wilcoxon_p = comparison.ranks.p_value


def _add_answers(message: measurement_pb2.VariantMeasurement, scores: Scores, *, is_reference: bool) -> None:
    if scores.mine.answers is None:
        return
    message.evaluated_count = scores.mine.answers.sample_count
    correct, reference = scores.mine.correct, scores.reference.correct
    if correct is None:
        return
    message.correct_count = int(np.count_nonzero(correct))
    if reference is not None and not is_reference:
        paired = mcnemar(reference, correct)
        message.mcnemar_p = paired.p_value
        message.notes.append(f"{scores.name} against the first: {paired.sentence}")


def _message(
    planned: plan_pb2.PlannedArtifact,
    artifact: control_pb2.Artifact,
    rounds: VariantRounds,
    figures: dict[str, Estimate],
    outcomes: Sequence[Outcome],
    *,
    is_reference: bool,
) -> measurement_pb2.VariantMeasurement:
    last = rounds.timed[-1].block if rounds.timed else None
    message = measurement_pb2.VariantMeasurement(
        artifact_digest=artifact.digest,
        label=planned.label,
        name=artifact.name,
        is_reference=is_reference,
        size_bytes=artifact.size_bytes,
        runtime=planned.runtime,
        runtime_version=last.runtime_version if last is not None else "",
        providers=last.providers if last is not None else (),
        placements=last.placements if last is not None else (),
        p50_latency=estimate_message(figures["p50"]),
        p90_latency=estimate_message(figures["p90"]),
        p95_latency=estimate_message(figures["p95"]),
        p99_latency=estimate_message(figures["p99"]),
        speedup=estimate_message(figures["speedup"]),
        accuracy=estimate_message(figures["accuracy"]),
        accuracy_drop=estimate_message(figures["drop"]),
        model_load=estimate_message(figures["load"]),
        first_inference=estimate_message(figures["first"]),
        peak_memory=estimate_message(figures["memory"]),
        energy=estimate_message(figures["energy"]),
        memory=median_memory(rounds),
        sample_count=sum(
            timed.block.sample_count if rounds.summary else timed.samples_ns.size for timed in rounds.timed
        ),
        failed_block_count=len(rounds.failed),
        throttled_block_count=throttled_block_count(rounds),
        validity=validity_counts((*rounds.failed, *rounds.left_out)),
        requirements=[_outcome(one) for one in outcomes],
        notes=_notes(rounds),
    )
    for metric in _ENERGY_FIELDS:
        getattr(message, metric).CopyFrom(estimate_message(figures[metric]))
    if not rounds.timed and rounds.failed:
        message.failure_status = rounds.failed[-1].status
        message.failure.CopyFrom(rounds.failed[-1].error)
    elif not rounds.timed and rounds.left_out:
        message.failure_status = result_pb2.BLOCK_STATUS_NOT_VALID
        message.failure.reason = "not_valid"
        message.failure.message = rounds.why_nothing()
    if not rounds.emulated_by:
        _add_what_was_timed(message, rounds, figures["load"].confidence)
    return message


def _add_what_was_timed(message: measurement_pb2.VariantMeasurement, rounds: VariantRounds, confidence: float) -> None:
    if rounds.timed and not rounds.summary:
        message.latency_quantiles_ns.extend(float(one) for one in pooled_quantiles(rounds.samples()))
    for timed in rounds.timed:
        p50, p90 = np.percentile(timed.samples_ns, [50, 90], method="median_unbiased")
        one = message.rounds.add(round_index=timed.round_index, segment=timed.segment, p50_ns=float(p50))
        if not rounds.summary:
            one.p90_ns = float(p90)
    built = build_time(rounds, confidence)
    if built is not None:
        message.build_time.CopyFrom(estimate_message(built))
        message.prepared = loads_are_cached(rounds)
    for block in rounds.energy:
        message.energy_readings.extend(block.readings)
    if note := loading_note(rounds.read_energy()):
        message.notes.append(note)


def _outcome(outcome: Outcome) -> measurement_pb2.RequirementOutcome:
    return measurement_pb2.RequirementOutcome(
        requirement=outcome.requirement.text,
        verdict=measurement_pb2.RequirementVerdict.Value(f"REQUIREMENT_VERDICT_{outcome.verdict.value}"),
        because=outcome.because,
    )


def _notes(rounds: VariantRounds) -> list[str]:
    """Return each note once, in the order in which they first came; notes on drift are counted, not repeated."""
    notes: dict[str, None] = {}
    drifted = 0
    for block in [timed.block for timed in rounds.timed] + ([rounds.evaluation] if rounds.evaluation else []):
        drifts = [note for note in block.notes if _DRIFT in note]
        drifted += bool(drifts) and not rounds.emulated_by
        notes.update(dict.fromkeys(note for note in block.notes if note not in drifts))
    if drifted:
        notes[f"latency drifted within the launch in {drifted} of {len(rounds.timed)} blocks ({_DRIFT} test)"] = None
    return list(notes)
