"""Match detections with true boxes, as COCO's evaluation does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The share of a box that pycocotools lets a threshold of 1 miss, so that equal boxes match.
_NEARLY_ONE = 1.0 - 1e-10


def matched(overlap: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return at which thresholds each detection of one class in one sample meets a true box, bool [T, D].

    Detections take their box in turn, the best score first: of those that are still free and overlap enough, the one
    with the largest overlap, and of equal ones the last (pycocotools 2.0, ``COCOeval.evaluateImg``). Crowds and ranges
    of area are not known here.

    Args:
        overlap: intersection over union, float64 [D, G], detections best first.
        thresholds: least overlap of a match, float64 [T].
    """
    detection_count, box_count = overlap.shape
    hits = np.zeros((thresholds.size, detection_count), dtype=np.bool_)
    if box_count == 0 or detection_count == 0:
        return hits
    least = np.minimum(thresholds, _NEARLY_ONE)[:, None]
    is_free = np.ones((thresholds.size, box_count), dtype=np.bool_)
    rows = np.arange(thresholds.size)
    for number in np.flatnonzero(overlap.max(axis=1) >= least.min()):
        fitting = np.where(is_free & (overlap[number] >= least), overlap[number], -1.0)
        last_best = box_count - 1 - np.argmax(fitting[:, ::-1], axis=1)
        is_hit = fitting[rows, last_best] >= 0.0
        hits[:, number] = is_hit
        is_free[rows[is_hit], last_best[is_hit]] = False
    return hits
