"""What the task of a measurement scores by, in the words of reports."""

from __future__ import annotations

from steelyard.report.figures import is_known
from steelyard.stats.estimate import exact, unknown
from steelyard.stats.task_metric import TaskMetric
from steelyard.stats.tolerance import default_tolerance
from steelyard_protocol.v1 import measurement_pb2


def score_of(measurement: measurement_pb2.Measurement) -> TaskMetric:
    """Return the metric of a measurement; top-1 accuracy where it names none, which older ones did not."""
    if not measurement.HasField("metric"):
        return TaskMetric()
    metric = measurement.metric
    return TaskMetric(kind=metric.kind, label=metric.label, unit=metric.unit, higher_is_better=metric.higher_is_better)


def score_name(measurement: measurement_pb2.Measurement) -> str:
    """Return "accuracy", "top-5 accuracy", "rmse"."""
    return score_of(measurement).name


def score_on_task(measurement: measurement_pb2.Measurement) -> str:
    """Return "accuracy on fashion-mnist", "rmse on taxi (less is better)"; "" without a task."""
    if not measurement.task_name:
        return ""
    score = score_of(measurement)
    return f"{score.name} on {measurement.task_name}{'' if score.higher_is_better else ' (less is better)'}"


def score_text(measurement: measurement_pb2.Measurement) -> str:
    """Return "top-1 accuracy", "root mean square error (rmse), less is better"; "" without a task."""
    if not measurement.task_name:
        return ""
    score = score_of(measurement)
    kind = "" if score.is_accuracy else f" ({score.kind})"
    return f"{score.label}{kind}{'' if score.higher_is_better else ', less is better'}"


def lost_limit(measurement: measurement_pb2.Measurement, reference: measurement_pb2.VariantMeasurement) -> float | None:
    """Return the drop, in the unit of drops, that nobody ships unasked; None where none can be taken for granted."""
    score = score_of(measurement)
    known = is_known(reference.accuracy)
    value = exact(reference.accuracy.value, score.unit) if known else unknown(score.unit, "it was not measured")
    return default_tolerance(score, value).limit
