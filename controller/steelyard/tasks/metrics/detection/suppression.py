"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.metrics.detection.boxes import overlaps


def kept_boxes(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    most_overlap: float,
    most_kept: int,
) -> NDArray[np.int64]:
    """Return which boxes stay, best first: greedy, within each class (Felzenszwalb et al. 2010).

    Of equal scores the earlier box wins. A box goes when its intersection over union with a better one of its class
    that stays is above ``most_overlap``; 1 keeps all.

    Args:
        boxes: float64 [M, 4] as corners.
        scores: float64 [M].
        labels: int64 [M].
        most_overlap: from 0 to 1.
        most_kept: of all classes together.
    """
    remaining = np.argsort(-scores, kind="stable")
    if most_overlap >= 1.0:
        return remaining[:most_kept]
    boxes, labels = boxes[remaining], labels[remaining]
    kept: list[int] = []
    while remaining.size and len(kept) < most_kept:
        kept.append(int(remaining[0]))
        stays = (overlaps(boxes[:1], boxes[1:])[0] <= most_overlap) | (labels[1:] != labels[0])
        remaining, boxes, labels = remaining[1:][stays], boxes[1:][stays], labels[1:][stays]
    return np.array(kept, dtype=np.int64)
