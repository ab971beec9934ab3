"""What a task's metric says of the answers that devices gave, with intervals: of every metric in the same words."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.stats.accuracy import paired_drop, wilson
from steelyard.stats.bootstrap import Resampled, drop_between, interval_of, resample
from steelyard.stats.estimate import Estimate, exact, unknown
from steelyard.stats.task_metric import TaskMetric
from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import Answers, BinaryAnswers, Metric
from steelyard.tasks.metrics.device_outputs import read_outputs
from steelyard.tasks.metrics.registry import metric, metric_settings_json, undefined_reason
from steelyard_protocol.v1 import control_pb2

# A page and a terminal compute the same measurement again and again, and an mAP takes seconds; a kilobyte or two each.
_MOST_KEPT = 256
_kept: OrderedDict[str, Resampled] = OrderedDict()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """One artifact's answers; ``answers`` is None where there are none, and ``reason`` says why.

    ``resampled`` is set for answers that are not just right or wrong. ``is_truth``: these outputs are what the others
    are held against.
    """

    answers: Answers | None = None
    reason: str = ""
    resampled: Resampled | None = None
    is_truth: bool = False

    @property
    def correct(self) -> NDArray[np.bool_] | None:
        """Whether each sample was answered right, bool [N]; None where answers are not just right or wrong."""
        return self.answers.correct if isinstance(self.answers, BinaryAnswers) else None


def metric_of(task: control_pb2.Task) -> Metric:
    """Return the metric of a task.

    Raises:
        TaskError: it is not known here, or its settings make no sense.
    """
    text = task.metric_settings_json or "{}"
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = f"the metric's settings are no JSON ({error}); make the task again"
        raise TaskError("invalid_setting", reason) from error
    if not isinstance(settings, dict):
        raise TaskError("invalid_setting", f"the metric's settings are {text[:80]!r}, no table; make the task again")
    return metric(task.metric or "top1", settings)


def described(found: Metric) -> TaskMetric:
    """Return what statistics and reports need to know of a metric."""
    return TaskMetric(
        kind=found.kind, label=found.label, unit=found.unit or "number", higher_is_better=found.higher_is_better
    )


def score_of(task: control_pb2.Task | None) -> TaskMetric | None:
    """Return what a task measures, None without a task.

    Raises:
        TaskError: as ``metric_of``.
    """
    return None if task is None else described(metric_of(task))


def score_each(
    found: Metric, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, bytes], labels: Sequence[str]
) -> dict[str, Scored]:
    """Score the outputs of each artifact.

    Args:
        found: The metric.
        truth: Of the task.
        outputs: What the device sent, .npz bytes by label.
        labels: Of the artifacts; the first is the reference.
    """
    scored = {}
    for label in labels:
        content = outputs.get(label)
        held = outputs.get(labels[0]) if found.needs_parent_outputs else None
        if content is None:
            scored[label] = Scored()
        elif found.needs_parent_outputs and held is None:
            scored[label] = Scored(reason="the first model, whose outputs are the truth here, gave none")
        else:
            scored[label] = _scored(found, truth, content, held, is_truth=held is not None and label == labels[0])
    return scored


def accuracy_of(scored: Scored, score: TaskMetric, *, confidence: float) -> Estimate:
    """Return the score with its interval over samples, or why there is none."""
    if scored.correct is not None:
        return wilson(int(np.count_nonzero(scored.correct)), int(scored.correct.size), confidence)
    if scored.resampled is None:
        return unknown(score.unit, scored.reason, confidence=confidence)
    value = scored.resampled.value
    if value is None:
        reason = scored.reason or f"{score.name} has no value for these samples"
        count = scored.resampled.sample_count
        return unknown(score.unit, reason, confidence=confidence, observation_count=count)
    if scored.is_truth:
        return exact(value, score.unit, confidence=confidence)
    return interval_of(scored.resampled, unit=score.unit, confidence=confidence)


def drop_of(scored: Scored, reference: Scored, score: TaskMetric, *, is_reference: bool, confidence: float) -> Estimate:
    """Return how much worse than the reference these answers are, paired by sample."""
    unmeasured = unknown(score.drop_unit, f"{score.name} was not evaluated for both", confidence=confidence)
    if is_reference:
        return unmeasured if scored.answers is None else exact(0.0, score.drop_unit, confidence=confidence)
    if scored.correct is not None and reference.correct is not None:
        return paired_drop(reference.correct, scored.correct, confidence)
    if scored.resampled is None or reference.resampled is None:
        return unmeasured
    return drop_between(
        reference.resampled,
        scored.resampled,
        higher_is_better=score.higher_is_better,
        unit=score.unit,
        confidence=confidence,
    )


def _scored(
    found: Metric, truth: Mapping[str, NDArray[Any]], content: bytes, held: bytes | None, *, is_truth: bool
) -> Scored:
    try:
        against = truth if held is None else read_outputs(held)
        answers = found.answers(against, read_outputs(content))
        reason = undefined_reason(found, against) or ""
    except TaskError as error:
        return Scored(reason=str(error))
    if isinstance(answers, BinaryAnswers):
        return Scored(answers=answers)
    key = _key(found, against, content)
    return Scored(answers=answers, reason=reason, resampled=_resampled(key, answers), is_truth=is_truth)


def _resampled(key: str, answers: Answers) -> Resampled:
    made = _kept.get(key)
    if made is None:
        made = _kept[key] = resample(answers)
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return made


def _key(found: Metric, truth: Mapping[str, NDArray[Any]], content: bytes) -> str:
    """Return what a score follows from, as a digest."""
    digest = hashlib.sha256(f"{found.kind}\0{metric_settings_json(found)}\0".encode())
    for name, array in truth.items():
        digest.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(content)
    return digest.hexdigest()
