"""The figures of an experiment's trainings, taken from lineages and measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from steelyard.experiments.findings import ExperimentMetric, SeedFigure
from steelyard.experiments.record import DeviceMeasurement, ExperimentRecord, SeedTraining
from steelyard.report.figures import failed, failure_text, has_interval, is_known
from steelyard.report.score_words import score_of
from steelyard.stats.seeds import variance_between
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
    found = [(one, *_measured(jobs, one.digest, measurements)) for one in _made(record)]
    apart = {
        recipe: _variance_between([(job_id, variant) for one, job_id, variant in found if one.recipe == recipe])
        for recipe in {one.recipe for one, *_ in found}
    }
    for training, job_id, variant in found:
        if variant is None:
            continue
        measurement, between = measurements[job_id], apart[training.recipe]
        yield _time_figure(training, speedup, variant, variant.speedup, between)
        yield _time_figure(training, latency, variant, variant.p50_latency, between)
        if measurement.task_name:
            score = score_of(measurement)
            accuracy = ExperimentMetric(name=score.name, device=device, unit=score.unit, is_claimed=True)
            yield _figure(training, accuracy, variant, variant.accuracy, 0.0)


def _measured(
    jobs: Sequence[DeviceMeasurement], digest: str, measurements: Mapping[str, measurement_pb2.Measurement]
) -> tuple[str, _Variant | None]:
    """Return the last job that a model was measured in, and what it says of that; None where it says nothing."""
    job_id = next((one.job_id for one in reversed(jobs) if digest in one.digests), "")
    variants = measurements[job_id].variants if job_id in measurements else ()
    return job_id, next((one for one in variants if one.artifact_digest == digest), None)


def _variance_between(measured: Sequence[tuple[str, _Variant | None]]) -> float | None:
    """Return the variance of the logarithms of a recipe's models, None where they were not all in the same rounds."""
    models = {variant.artifact_digest: variant for _, variant in measured if variant is not None}
    if len({job_id for job_id, variant in measured if variant is not None}) != 1:
        return None
    times = [{one.round_index: one.p50_ns for one in each.rounds if one.p50_ns > 0} for each in models.values()]
    common = sorted(set(times[0]).intersection(*times[1:]))
    return variance_between(np.array([[each[index] for index in common] for each in times]))


def _time_figure(
    training: SeedTraining,
    metric: ExperimentMetric,
    variant: _Variant,
    estimate: measurement_pb2.Estimate,
    between: float | None,
) -> SeedFigure:
    """Return a figure with its variance beside the recipe's others; ``between`` None: the one of its own interval."""
    if not has_interval(estimate):
        variance = None
    else:
        variance = _own_variance(estimate) if between is None else estimate.value**2 * between
    return _figure(training, metric, variant, estimate, variance)


def _figure(
    training: SeedTraining,
    metric: ExperimentMetric,
    variant: _Variant,
    estimate: measurement_pb2.Estimate,
    variance: float | None,
) -> SeedFigure:
    known, sure = is_known(estimate), has_interval(estimate)
    return SeedFigure(
        recipe=training.recipe,
        seed=training.seed,
        digest=training.digest,
        metric=metric,
        value=estimate.value if known else None,
        low=estimate.low if sure else None,
        high=estimate.high if sure else None,
        variance=variance,
        reason="" if known else failure_text(variant) if failed(variant) else estimate.reason,
    )


def _own_variance(estimate: measurement_pb2.Estimate) -> float:
    """Return the square of the standard error that a t interval over rounds was made of."""
    degrees = max(1, estimate.observation_count - 1)
    quantile = t_quantile(0.5 + estimate.confidence / 2, degrees)
    return float(((estimate.high - estimate.low) / 2 / quantile) ** 2)
