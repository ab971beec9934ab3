"""Two artifacts, or one under two runtimes, measured in turn on one device, and what that shows metric by metric.

Confirmations of a night, gates and bisections all compare by this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from steelyard.analysis.measurement import MeasurementInput, build_measurement, scored_answers
from steelyard.analysis.stop import StopPolicy
from steelyard.analysis.variant_rounds import VariantRounds, collect
from steelyard.control.client import Client
from steelyard.control.job_handle import JobHandle
from steelyard.control.plans import MeasurementOptions
from steelyard.control.verdict_options import VerdictOptions
from steelyard.errors import SteelyardError
from steelyard.nightly.cell_values import CellValue, cell_values
from steelyard.nightly.exact_judging import judge_exact
from steelyard.nightly.round_figures import paired_figures
from steelyard.series.confirming import judge_answers, judge_confirmation, judge_scores
from steelyard.series.judgements import ConfirmationOutcome
from steelyard.series.metric_rules import Direction, MetricKind, MetricRule
from steelyard_protocol.v1 import control_pb2, measurement_pb2, result_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """What was measured of a reference and of a candidate, and what it shows.

    ``outcomes`` are by metric; a text instead of an outcome says why the metric was not compared.
    """

    job_id: str
    measurement: measurement_pb2.Measurement
    outcomes: Mapping[str, ConfirmationOutcome | str]

    @property
    def device(self) -> str:
        """The device that was measured on, by name."""
        return self.measurement.device_name


def measure_side_by_side(
    client: Client,
    artifacts: Sequence[control_pb2.Artifact],
    rules: Sequence[MetricRule],
    *,
    device: str,
    options: MeasurementOptions,
    task: control_pb2.Task | None = None,
    follow: Callable[[JobHandle], object] = lambda handle: handle.wait(),
) -> SideBySide:
    """Measure one job of two artifacts, or of one whose ``options.vary`` makes two of it, and judge it.

    The first artifact (or value) is the reference. ``rules`` are those of the metrics to compare; of a time among them
    the stop rule gets the least effect, so that measuring ends once that is settled. ``follow`` waits for the job.

    Raises:
        SteelyardError: the job did not end well, with its reason.
    """
    handle = client.measure(artifacts, device=device, task=task, options=_stopping_for(rules, options))
    follow(handle)
    return judge_job(client, handle.job_id, rules)


def judge_job(client: Client, job_id: str, rules: Sequence[MetricRule]) -> SideBySide:
    """Judge a finished job of two artifacts.

    Raises:
        SteelyardError: ``not_two``: it has more or fewer; or a blob of it is gone.
    """
    # Reads gigabytes of libraries in; only who judges pays for it.
    from steelyard.analysis.record import read_record

    given = read_record(client.measurement_record(job_id), client.download)
    measurement = build_measurement(given)
    return SideBySide(job_id=job_id, measurement=measurement, outcomes=judge_record(given, measurement, rules))


def judge_record(
    given: MeasurementInput, measurement: measurement_pb2.Measurement, rules: Sequence[MetricRule]
) -> dict[str, ConfirmationOutcome | str]:
    """Return what a recorded job of two artifacts shows of each rule's metric, or why it shows nothing.

    Raises:
        SteelyardError: ``not_two``.
    """
    labels = [one.label for one in given.request.plan.artifacts]
    if len(labels) != 2:
        raise SteelyardError("not_two", f"job {given.job.job_id[:12]} has {len(labels)} variants; two are compared")
    policy = StopPolicy.of(given.request, job_id=given.job.job_id, history=given.history)
    latency = [one for one in given.rounds if one.pass_kind == result_pb2.PASS_LATENCY]
    confidence = policy.look_confidence(latency).difference
    rounds = collect(given.rounds, labels, mode=given.request.plan.mode, emulated_by=given.device.emulated_by)
    judge = _Judge(given=given, measurement=measurement, labels=labels, rounds=rounds, confidence=confidence)
    return {rule.metric: judge.outcome(rule) for rule in rules}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    given: MeasurementInput
    measurement: measurement_pb2.Measurement
    labels: Sequence[str]
    rounds: Mapping[str, VariantRounds]
    confidence: float

    def outcome(self, rule: MetricRule) -> ConfirmationOutcome | str:
        failed = next((one for one in self.measurement.variants if one.failure.message), None)
        if failed is not None:
            return f"{failed.label} could not be measured: {failed.failure.message}"
        if rule.kind is MetricKind.EXACT:
            return self._exact(rule)
        if rule.kind is MetricKind.ACCURACY:
            return self._accuracy(rule)
        reference, candidate = (self.rounds[label] for label in self.labels)
        before, after = paired_figures(reference, candidate, rule.metric)
        if len(before) < 3:
            why = next((self.rounds[one].why_nothing() for one in self.labels if not self.rounds[one].timed), "")
            few = f"{len(before)} round{'s' * (len(before) != 1)} tell {rule.metric} of both, and three are the least"
            return why or "; ".join(filter(None, [few, self.measurement.stop_reason]))
        return judge_confirmation(before, after, rule, confidence=self.confidence)

    def _accuracy(self, rule: MetricRule) -> ConfirmationOutcome | str:
        if self.given.task is None:
            return "accuracy needs a task"
        scored = scored_answers(self.given)
        answers = [scored[label].correct for label in self.labels]
        reference, candidate = answers
        if reference is not None and candidate is not None:
            return judge_answers(reference, candidate, rule)
        scores = [one.accuracy for one in self.measurement.variants]
        if not all(one.HasField("value") for one in scores):
            reasons = (one.reason for one in scores if not one.HasField("value"))
            return next(filter(None, reasons), "the answers of one of them are missing")
        metric = self.measurement.metric
        direction = Direction.HIGHER if metric.higher_is_better else Direction.LOWER
        return judge_scores(scores[0].value, scores[1].value, replace(rule, direction=direction, unit=metric.unit))

    def _exact(self, rule: MetricRule) -> ConfirmationOutcome | str:
        before, after = (_value(one, rule.metric) for one in self.measurement.variants)
        if before is None or after is None:
            return f"{rule.metric} of one of them is not known"
        return judge_exact(before, after, rule)


def _value(variant: measurement_pb2.VariantMeasurement, metric: str) -> CellValue | None:
    macs = variant.operators.mac_count if variant.operators.HasField("mac_count") else None
    return cell_values(variant, None, mac_count=macs).get(metric)


def _stopping_for(rules: Sequence[MetricRule], options: MeasurementOptions) -> MeasurementOptions:
    timed = [rule for rule in rules if rule.metric in {"p50", "throughput", "response_p50"}]
    if not timed:
        return options
    least = min(timed, key=lambda rule: rule.thresholds.minimum_effect).thresholds
    verdicts = VerdictOptions(minimum_effect=least.minimum_effect, equivalence_margin=least.equivalence_margin)
    return replace(options, verdicts=verdicts)
