"""Planted detections, pictures to place, and COCO's own evaluation as an oracle."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.metrics.contract import BOX_LABELS, BOX_SAMPLES, BOXES
from steelyard.tasks.metrics.detection.detections import Detections

# Scores and corners are multiples of these, so that ties are common and every sum is exact.
_SCORE_STEP = 1 / 16
_PIXEL_STEP = 1 / 4


def drawn_pictures(count: int, *, class_count: int = 3, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return bright shapes uint8 [count, 28, 28] on black, and their classes: each class has its own proportions."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, class_count, count)
    pictures = np.zeros((count, 28, 28), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        margin = 2 + 3 * int(label)
        inner = picture[2:26, margin : 28 - margin]
        inner[...] = rng.integers(100, 256, inner.shape)
    return pictures, labels


def planted_detections(
    seed: int, *, sample_count: int = 12, class_count: int = 3, most_boxes: int = 6, most_false: int = 8
) -> tuple[dict[str, NDArray[Any]], Detections]:
    """Return true boxes, and detections that meet some of them more or less, with many equal scores."""
    rng = np.random.default_rng(seed)
    true_samples = np.repeat(np.arange(sample_count), rng.integers(0, most_boxes + 1, sample_count))
    truth = {
        BOXES: _drawn_boxes(rng, true_samples.size).astype(np.float32),
        BOX_LABELS: rng.integers(0, class_count, true_samples.size),
        BOX_SAMPLES: true_samples,
    }
    is_met = rng.random(true_samples.size) < 0.8
    shifts = rng.integers(-6, 7, (int(is_met.sum()), 4)) * _PIXEL_STEP
    near = truth[BOXES][is_met].astype(np.float64) + shifts
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    false_samples = np.repeat(np.arange(sample_count), rng.integers(0, most_false + 1, sample_count))
    samples = np.concatenate((true_samples[is_met], false_samples))
    boxes = np.concatenate((near, _drawn_boxes(rng, false_samples.size)))
    labels = np.concatenate((truth[BOX_LABELS][is_met], rng.integers(0, class_count + 1, false_samples.size)))
    scores = rng.integers(1, 17, samples.size) * _SCORE_STEP
    order = np.lexsort((-scores, samples))
    return truth, Detections(
        sample_count=sample_count,
        samples=samples[order],
        labels=labels[order],
        scores=scores[order],
        boxes=boxes[order],
    )


def coco_average_precision(truth: Mapping[str, NDArray[Any]], found: Detections) -> dict[str, float | None]:
    """Return what pycocotools says, by the metric's setting ``overlap``; None where it has no value."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": sample} for sample in range(found.sample_count)],
            "categories": [{"id": int(label)} for label in np.unique((*truth[BOX_LABELS], *found.labels))],
            "annotations": [
                {"id": number + 1, "image_id": int(sample), "category_id": int(label), "iscrowd": 0, **_extent(box)}
                for number, (sample, label, box) in enumerate(
                    zip(truth[BOX_SAMPLES], truth[BOX_LABELS], truth[BOXES].astype(np.float64), strict=True)
                )
            ],
        }
        coco.createIndex()
        results = [
            {"image_id": int(sample), "category_id": int(label), "bbox": _extent(box)["bbox"], "score": float(score)}
            for sample, label, score, box in zip(found.samples, found.labels, found.scores, found.boxes, strict=True)
        ]
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return {"50:95": _mean(precision), "50": _mean(precision[:1]), "75": _mean(precision[5:6])}


def _mean(precision: NDArray[np.float64]) -> float | None:
    values = precision[precision > -1]
    return float(values.mean()) if values.size else None


def _drawn_boxes(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    corners = rng.integers(0, 40, (count, 2)) * _PIXEL_STEP
    return np.concatenate((corners, corners + rng.integers(4, 120, (count, 2)) * _PIXEL_STEP), axis=1)


def _extent(box: NDArray[np.float64]) -> dict[str, Any]:
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    return {"bbox": [float(box[0]), float(box[1]), width, height], "area": width * height}
