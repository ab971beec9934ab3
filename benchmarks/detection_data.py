"""Pictures on larger canvases with exact boxes: truth for a detector without anybody's annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.metrics.contract import BOX_LABELS, BOX_SAMPLES, BOXES

_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectionData:
    """Canvases uint8 [N, S, S] and their truth: boxes float32 [M, 4], box_labels and box_samples int64 [M]."""

    images: NDArray[np.uint8]
    truth: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How pictures are placed: sizes in pixels, at least one picture a canvas.

    ``most_overlap`` is the largest share of the smaller of two boxes that both may have in common, and ``most_noise``
    the brightest background; a box holds exactly the pixels of its picture that are brighter than any background.
    """

    canvas_size: int = 96
    least_size: int = 20
    most_size: int = 44
    most_pictures: int = 4
    most_overlap: float = 0.1
    most_noise: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.least_size <= self.most_size <= self.canvas_size:
            raise ValueError(
                f"pictures of {self.least_size} to {self.most_size} pixels do not fit a canvas of {self.canvas_size}"
            )
        if self.most_pictures < 1 or not 0.0 <= self.most_overlap <= 1.0 or not 0 <= self.most_noise < 255:
            raise ValueError(
                f"{self.most_pictures} pictures, an overlap of {self.most_overlap} and a noise of {self.most_noise} "
                "make no canvas; take at least 1, 0 to 1 and 0 to 254"
            )


def placed_pictures(
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    canvas_count: int,
    seed: int,
    placement: Placement = Placement(),
) -> DetectionData:
    """Place pictures [K, H, W] of the classes ``labels`` [K] on canvases: drawn anew for each, the same for one seed.

    Boxes are x1, y1, x2, y2 in pixels, x2 and y2 beyond the last one.
    """
    rng = np.random.default_rng(seed)
    size = placement.canvas_size
    images = rng.integers(0, placement.most_noise + 1, (canvas_count, size, size)).astype(np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    box_labels: list[int] = []
    box_samples: list[int] = []
    for sample in range(canvas_count):
        placed: list[tuple[int, int, int, int]] = []
        wanted = int(rng.integers(1, placement.most_pictures + 1))
        for _ in range(_TRIES * wanted):
            number = int(rng.integers(len(pictures)))
            box = _place(images[sample], pictures[number], placed, placement, rng)
            if box is not None:
                placed.append(box)
                box_labels.append(int(labels[number]))
            if len(placed) == wanted:
                break
        boxes += placed
        box_samples += [sample] * len(placed)
    truth = {
        BOXES: np.array(boxes, dtype=np.float32).reshape(-1, 4),
        BOX_LABELS: np.array(box_labels, dtype=np.int64),
        BOX_SAMPLES: np.array(box_samples, dtype=np.int64),
    }
    return DetectionData(images=images, truth=truth)


def _place(
    canvas: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    placed: list[tuple[int, int, int, int]],
    placement: Placement,
    rng: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """Draw a picture, its size and place drawn at random, and return its box; None where it does not fit."""
    size = int(rng.integers(placement.least_size, placement.most_size + 1))
    rows, columns = (np.arange(size) * length // size for length in picture.shape)
    scaled = picture[np.ix_(rows, columns)]
    top, left = (int(edge) for edge in rng.integers(0, placement.canvas_size - size + 1, 2))
    visible = scaled > placement.most_noise
    if not visible.any():
        return None
    seen_rows, seen_columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    box = (
        left + int(seen_columns[0]),
        top + int(seen_rows[0]),
        left + int(seen_columns[-1]) + 1,
        top + int(seen_rows[-1]) + 1,
    )
    if any(_shared(box, other) > placement.most_overlap for other in placed):
        return None
    part = canvas[top : top + size, left : left + size]
    np.copyto(part, scaled, where=visible)
    return box


def _shared(box: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Return what two boxes have in common as a share of the smaller one."""
    width = max(0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0, min(box[3], other[3]) - max(box[1], other[1]))
    smaller = min((one[2] - one[0]) * (one[3] - one[1]) for one in (box, other))
    return width * height / smaller
