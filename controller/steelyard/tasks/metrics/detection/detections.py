"""Detections: the boxes of a model that stay after threshold and suppression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.detection.raw import RawDetections, read_outputs
from steelyard.tasks.metrics.detection.settings import DetectionSettings
from steelyard.tasks.metrics.detection.suppression import kept_boxes

# Best scores of a sample that go into suppression: bounds its time, far above any number of objects.
_MOST_CANDIDATES = 5000
_SCORE_SLACK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What was found in ``sample_count`` samples: sample by sample, best first.

    ``samples`` and ``labels`` int64 [M], ``scores`` float64 [M], ``boxes`` float64 [M, 4] as corners in pixels.
    """

    sample_count: int
    samples: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]


def detections(settings: DetectionSettings, outputs: Mapping[str, NDArray[Any]], sample_count: int) -> Detections:
    """Return what a detector found: every class of every place at or above the threshold, suppressed class by class.

    Raises:
        TaskError: outputs that do not fit the settings.
    """
    raw = read_outputs(settings, outputs, sample_count)
    _require_score_form(settings, raw)
    parts = [_of_sample(settings, raw, sample) for sample in range(sample_count)]
    return Detections(
        sample_count=sample_count,
        samples=np.repeat(np.arange(sample_count, dtype=np.int64), [scores.size for _, scores, _ in parts]),
        labels=np.concatenate([np.zeros(0, np.int64), *(labels for labels, _, _ in parts)]),
        scores=np.concatenate([np.zeros(0), *(scores for _, scores, _ in parts)]),
        boxes=np.concatenate([np.zeros((0, 4)), *(boxes for _, _, boxes in parts)]),
    )


def _require_score_form(settings: DetectionSettings, raw: RawDetections) -> None:
    """Refuse scores that cannot be probabilities; quantization may carry them a little beyond 0 and 1."""
    if settings.score_form != "probabilities" or raw.scores.size == 0:
        return
    lowest, highest = float(raw.scores.min()), float(raw.scores.max())
    if lowest < -_SCORE_SLACK or highest > 1.0 + _SCORE_SLACK:
        raise TaskError(
            "invalid_outputs",
            f"the scores reach from {lowest:g} to {highest:g}, so that they are no probabilities; write score_form = "
            '"logits" or "softmax", or correct the names and sizes of the outputs',
        )


def _of_sample(
    settings: DetectionSettings, raw: RawDetections, sample: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return labels, scores and boxes of one sample, best first."""
    filled = int(raw.counts[sample])
    scores = _probabilities(settings, raw, sample, filled)
    places, columns = np.nonzero(scores >= settings.score_threshold)
    found = scores[places, columns]
    if found.size > _MOST_CANDIDATES:
        best = np.sort(np.argsort(-found, kind="stable")[:_MOST_CANDIDATES])
        places, columns, found = places[best], columns[best], found[best]
    labels = columns.astype(np.int64)
    if raw.labels is not None:
        labels = raw.labels[sample, places]
        is_object = labels != settings.background
        labels, places, found = labels[is_object], places[is_object], found[is_object]
    boxes = raw.boxes[sample, places]
    kept = kept_boxes(boxes, found, labels, most_overlap=settings.nms_overlap, most_kept=settings.max_detections)
    return labels[kept] - settings.class_offset, found[kept], boxes[kept]


def _probabilities(settings: DetectionSettings, raw: RawDetections, sample: int, filled: int) -> NDArray[np.float64]:
    """Return scores from 0 to 1 of the filled places, float64 [A, C], without the column of the background."""
    from scipy.special import expit, softmax

    scores: NDArray[np.float64] = raw.scores[sample, :filled].astype(np.float64)
    if settings.score_form == "logits":
        scores = expit(scores)
    elif settings.score_form == "softmax":
        scores = softmax(scores, axis=-1)
    if raw.objectness is not None:
        objectness = raw.objectness[sample, :filled].astype(np.float64)
        scores = scores * (objectness if settings.score_form == "probabilities" else expit(objectness))[:, None]
    if 0 <= settings.background < scores.shape[1] and raw.labels is None:
        scores = np.delete(scores, settings.background, axis=1)
    return scores
