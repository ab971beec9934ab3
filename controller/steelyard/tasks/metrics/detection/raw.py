"""A detector's outputs, brought into one form: boxes in pixels and scores, nothing chosen yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.detection.anchors import anchor_boxes, from_offsets
from steelyard.tasks.metrics.detection.boxes import corners
from steelyard.tasks.metrics.detection.settings import DetectionSettings
from steelyard.tasks.metrics.outputs import class_output, described, finite_output

_BOX_SIZE = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawDetections:
    """What a detector says of N samples with A places each.

    ``boxes`` float64 [N, A, 4] as corners in pixels; ``scores`` [N, A, C] as the model gives them; ``objectness``
    [N, A] likewise or None; ``labels`` int64 [N, A] where C is 1 and the model names the class; ``counts`` int64 [N],
    how many places are filled.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[Any]
    counts: NDArray[np.int64]
    objectness: NDArray[Any] | None = None
    labels: NDArray[np.int64] | None = None


def read_outputs(settings: DetectionSettings, outputs: Mapping[str, NDArray[Any]], sample_count: int) -> RawDetections:
    """Return what the outputs of ``sample_count`` samples say; outputs are [N, ...] by their names.

    Raises:
        TaskError: invalid_outputs (shapes, dtypes, NaN), lengths_differ.
    """
    readers = {"yolo": _from_yolo, "anchors": _from_anchors, "boxes": _from_boxes}
    return readers[settings.decode](settings, outputs, sample_count)


def _from_yolo(settings: DetectionSettings, outputs: Mapping[str, NDArray[Any]], sample_count: int) -> RawDetections:
    name, array = finite_output(outputs, settings.output, sample_count)
    if array.ndim != 3:
        raise _misfit(
            name, array, "[N, 4 + CLASSES, PLACES] or [N, PLACES, 4 + CLASSES]", "name another (output = ...)"
        )
    head = _BOX_SIZE + settings.objectness
    wanted = head + settings.class_count if settings.class_count else min(array.shape[1:])
    if wanted <= head or wanted not in array.shape[1:]:
        raise _misfit(
            name, array, f"{max(wanted, head + 1)} values a place in one of its last two sizes", "correct class_count"
        )
    if not settings.class_count and array.shape[1] == array.shape[2]:
        raise _misfit(name, array, "places and values that can be told apart", "add class_count")
    rows = array.transpose(0, 2, 1) if array.shape[1] == wanted else array
    return RawDetections(
        boxes=_in_pixels(settings, rows[..., :_BOX_SIZE]),
        scores=rows[..., head:],
        objectness=rows[..., _BOX_SIZE] if settings.objectness else None,
        counts=np.full(sample_count, rows.shape[1], dtype=np.int64),
    )


def _from_anchors(settings: DetectionSettings, outputs: Mapping[str, NDArray[Any]], sample_count: int) -> RawDetections:
    anchors = anchor_boxes(settings.image_size, settings.strides, settings.anchor_shapes(), settings.cell_offset)
    offsets = _joined(outputs, settings.boxes, sample_count, least_width=_BOX_SIZE)
    scores = _joined(outputs, settings.scores, sample_count, least_width=1)
    if not offsets.shape[1] == scores.shape[1] == len(anchors):
        raise TaskError(
            "invalid_outputs",
            f"the settings make {len(anchors)} anchors, and the model gives {offsets.shape[1]} boxes and "
            f"{scores.shape[1]} scores a sample; correct strides, anchors, sizes or aspect_ratios",
        )
    offsets = offsets[..., :_BOX_SIZE]
    if settings.resolved_box_form() == "cycxhw":
        offsets = offsets[..., [1, 0, 3, 2]]
    boxes = from_offsets(offsets, anchors, variances=settings.variances, size_coding=settings.size_coding)
    return RawDetections(
        boxes=_clipped(settings, corners(boxes, "cxcywh")),
        scores=scores,
        counts=np.full(sample_count, len(anchors), dtype=np.int64),
    )


def _from_boxes(settings: DetectionSettings, outputs: Mapping[str, NDArray[Any]], sample_count: int) -> RawDetections:
    boxes = _joined(outputs, settings.boxes, sample_count, least_width=_BOX_SIZE)
    scores = _joined(outputs, settings.scores, sample_count, least_width=1)
    if boxes.shape[1] != scores.shape[1] or (settings.classes and scores.shape[2] != 1):
        raise TaskError(
            "invalid_outputs",
            f"the model gives boxes of the shape {list(boxes.shape)} and scores of {list(scores.shape)}; name outputs "
            "that belong together (boxes, scores), and classes only beside one score a box",
        )
    labels = class_output(outputs, settings.classes, sample_count) if settings.classes else None
    if labels is not None and labels.size != boxes.shape[0] * boxes.shape[1]:
        raise _misfit(settings.classes, labels, f"[N, {boxes.shape[1]}], a class a box", "correct classes")
    return RawDetections(
        boxes=_in_pixels(settings, boxes[..., :_BOX_SIZE]),
        scores=scores,
        labels=None if labels is None else labels.reshape(boxes.shape[:2]),
        counts=_counts(settings, outputs, sample_count, boxes.shape[1]),
    )


def _counts(
    settings: DetectionSettings, outputs: Mapping[str, NDArray[Any]], sample_count: int, place_count: int
) -> NDArray[np.int64]:
    if not settings.detection_count:
        return np.full(sample_count, place_count, dtype=np.int64)
    counts = class_output(outputs, settings.detection_count, sample_count)
    if counts.size != sample_count or np.any((counts < 0) | (counts > place_count)):
        raise _misfit(
            settings.detection_count, counts, f"one number from 0 to {place_count} a sample", "correct detection_count"
        )
    return counts.reshape(sample_count)


def _joined(
    outputs: Mapping[str, NDArray[Any]], names: tuple[str, ...], sample_count: int, *, least_width: int
) -> NDArray[Any]:
    """Return outputs [N, A, K] one after another along A; [N, A] is taken for [N, A, 1] where that is wide enough."""
    arrays: list[NDArray[Any]] = []
    for name in names:
        found, array = finite_output(outputs, name, sample_count)
        rows = array[..., None] if array.ndim == 2 and least_width == 1 else array
        if rows.ndim != 3 or rows.shape[2] < least_width or (arrays and rows.shape[2] != arrays[0].shape[2]):
            raise _misfit(found, array, f"[N, PLACES, {least_width} or more]", "name another output (boxes, scores)")
        arrays.append(rows)
    return np.concatenate(arrays, axis=1)


def _in_pixels(settings: DetectionSettings, boxes: NDArray[Any]) -> NDArray[np.float64]:
    found = corners(boxes, settings.resolved_box_form())
    if settings.normalised:
        height, width = settings.image_size
        found *= np.array([width, height, width, height], dtype=np.float64)
    return _clipped(settings, found)


def _clipped(settings: DetectionSettings, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return boxes with what lies outside the image cut off, where its size is known."""
    if not settings.image_size:
        return boxes
    height, width = settings.image_size
    return np.clip(boxes, 0.0, np.array([width, height, width, height], dtype=np.float64))


def _misfit(name: str, array: NDArray[Any], wanted: str, next_step: str) -> TaskError:
    return TaskError("invalid_outputs", f"output {name!r} is {described(array)} and should have {wanted}; {next_step}")
