"""The figures of an experiment's trainings, taken from lineages and measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from steelyard.experiments.findings import ExperimentMetric, SeedFigure
from steelyard.experiments.record import DeviceMeasurement, ExperimentRecord, SeedTraining
from steelyard.report.figures import failed, failure_text, has_interval, is_known
from steelyard.report.score_words import score_of
from steelyard.stats.student import t_quantile
from steelyard_protocol.v1 import control_pb2, measurement_pb2

SPEEDUP, LATENCY = "speedup", "p50"
_Variant = measurement_pb2.VariantMeasurement


def figures_of(
    record: ExperimentRecord,
    artifacts: Mapping[str, control_pb2.Artifact],
    measurements: Mapping[str, measurement_pb2.Measurement],
    *,
    task_id: str | None = None,
) -> list[SeedFigure]:
    """Return every figure of every training, by seed.

    Args:
        record: the experiment.
        artifacts: its models by their digests.
        measurements: by the ids of their jobs.
        task_id: leave out what a model scored on the controller by another task: the same recipe may have been run
            with one since. None: whatever it scored there.
    """
    on_devices = [one for device in record.devices for one in _on_device(record, device, measurements)]
    claims_scores = not any(one.metric.is_claimed and one.metric.name != SPEEDUP for one in on_devices)
    by_task = {digest: one for digest, one in artifacts.items() if task_id is None or one.lineage.task_id == task_id}
    return [*_on_controller(record, by_task, is_claimed=claims_scores), *on_devices]


def _made(record: ExperimentRecord) -> list[SeedTraining]:
    return sorted((one for one in record.trainings if one.digest), key=lambda one: one.seed)


def _on_controller(
    record: ExperimentRecord, artifacts: Mapping[str, control_pb2.Artifact], *, is_claimed: bool
) -> Iterator[SeedFigure]:
    for training in _made(record):
        steps = artifacts[training.digest].lineage.steps if training.digest in artifacts else ()
        if not steps or not steps[-1].HasField("evaluation"):
            continue
        score = steps[-1].evaluation
        name = score.metric or "score"
        yield SeedFigure(
            recipe=training.recipe,
            seed=training.seed,
            digest=training.digest,
            metric=ExperimentMetric(name=name, device="", unit=score.unit or "number", is_claimed=is_claimed),
            value=score.value if score.HasField("value") else None,
            low=score.low if score.HasField("low") else None,
            high=score.high if score.HasField("high") else None,
            variance=0.0,
            reason=score.reason,
        )


def _on_device(
    record: ExperimentRecord, device: str, measurements: Mapping[str, measurement_pb2.Measurement]
) -> Iterator[SeedFigure]:
    jobs = [one for one in record.measurements if one.device == device]
    speedup = ExperimentMetric(name=SPEEDUP, device=device, unit="ratio", is_claimed=True)
    latency = ExperimentMetric(name=LATENCY, device=device, unit="ns", is_claimed=False)
    for training in _made(record):
        measurement = _measurement_of(jobs, training.digest, measurements)
        if measurement is None:
            continue
        variant = next((one for one in measurement.variants if one.artifact_digest == training.digest), None)
        if variant is None:
            continue
        yield _figure(training, speedup, variant, lambda one: one.speedup)
        yield _figure(training, latency, variant, lambda one: one.p50_latency)
        if measurement.task_name:
            score = score_of(measurement)
            accuracy = ExperimentMetric(name=score.name, device=device, unit=score.unit, is_claimed=True)
            yield _figure(training, accuracy, variant, lambda one: one.accuracy, is_score=True)


def _measurement_of(
    jobs: Sequence[DeviceMeasurement], digest: str, measurements: Mapping[str, measurement_pb2.Measurement]
) -> measurement_pb2.Measurement | None:
    found = next((one for one in reversed(jobs) if digest in one.digests), None)
    return measurements.get(found.job_id) if found is not None else None


def _figure(
    training: SeedTraining,
    metric: ExperimentMetric,
    variant: _Variant,
    field: Callable[[_Variant], measurement_pb2.Estimate],
    *,
    is_score: bool = False,
) -> SeedFigure:
    estimate = field(variant)
    known, sure = is_known(estimate), has_interval(estimate)
    return SeedFigure(
        recipe=training.recipe,
        seed=training.seed,
        digest=training.digest,
        metric=metric,
        value=estimate.value if known else None,
        low=estimate.low if sure else None,
        high=estimate.high if sure else None,
        variance=0.0 if is_score else _variance(estimate) if sure else None,
        reason="" if known else failure_text(variant) if failed(variant) else estimate.reason,
    )


def _variance(estimate: measurement_pb2.Estimate) -> float:
    """Return the square of the standard error that a t interval over rounds was made of."""
    degrees = max(1, estimate.observation_count - 1)
    quantile = t_quantile(0.5 + estimate.confidence / 2, degrees)
    return float(((estimate.high - estimate.low) / 2 / quantile) ** 2)
