"""Boxes: the forms in which models give them, and how far they overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CENTRE_FORMS = ("cxcywh", "cycxhw")
BOX_FORMS = (*CENTRE_FORMS, "xyxy", "yxyx", "xywh")


def corners(boxes: NDArray[Any], form: str) -> NDArray[np.float64]:
    """Return boxes [..., 4] of one of ``BOX_FORMS`` as x1, y1, x2, y2, float64."""
    first, second, third, fourth = np.moveaxis(boxes[..., :4].astype(np.float64), -1, 0)
    if form in {"cycxhw", "yxyx"}:
        first, second, third, fourth = second, first, fourth, third
    if form in {"xyxy", "yxyx"}:
        return np.stack((first, second, third, fourth), axis=-1)
    if form == "xywh":
        return np.stack((first, second, first + third, second + fourth), axis=-1)
    return np.stack((first - third / 2, second - fourth / 2, first + third / 2, second + fourth / 2), axis=-1)


def areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas of boxes [..., 4] as corners; one whose corners are swapped has none."""
    return np.maximum(boxes[..., 2] - boxes[..., 0], 0.0) * np.maximum(boxes[..., 3] - boxes[..., 1], 0.0)


def overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intersection over union of each of ``boxes`` [D, 4] with each of ``others`` [G, 4], float64 [D, G].

    As pycocotools has it: areas without the + 1 of whole pixels, 0 where boxes do not meet.
    """
    widths = np.minimum(boxes[:, None, 2], others[None, :, 2]) - np.maximum(boxes[:, None, 0], others[None, :, 0])
    heights = np.minimum(boxes[:, None, 3], others[None, :, 3]) - np.maximum(boxes[:, None, 1], others[None, :, 1])
    shared = np.maximum(widths, 0.0) * np.maximum(heights, 0.0)
    unions = areas(boxes)[:, None] + areas(others)[None, :] - shared
    share: NDArray[np.float64] = np.divide(shared, unions, out=np.zeros_like(shared), where=shared > 0.0)
    return share
