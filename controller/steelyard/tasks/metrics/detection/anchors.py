"""Anchors: the boxes that a detector's outputs are offsets from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# torchvision's bound: 62.5 times the anchor's size is nonsense already, and the exponential of more overflows.
_MOST_LOG_SIZE = math.log(1000.0 / 16)


def anchor_shapes(
    sizes: Sequence[Sequence[float]], aspect_ratios: Sequence[float]
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return width and height of each level's anchors: each size in turn, in each aspect ratio (width / height)."""
    return tuple(
        tuple((size * math.sqrt(ratio), size / math.sqrt(ratio)) for size in level for ratio in aspect_ratios)
        for level in sizes
    )


def anchor_count(
    image_size: tuple[int, ...], strides: Sequence[int], shapes: Sequence[Sequence[tuple[float, float]]]
) -> int:
    """Return how many anchors ``anchor_boxes`` makes."""
    height, width = image_size
    cells = (math.ceil(height / stride) * math.ceil(width / stride) for stride in strides)
    return sum(count * len(level) for count, level in zip(cells, shapes, strict=True))


def anchor_boxes(
    image_size: tuple[int, ...],
    strides: Sequence[int],
    shapes: Sequence[Sequence[tuple[float, float]]],
    cell_offset: float,
) -> NDArray[np.float64]:
    """Return the anchors as centre x, centre y, width, height in pixels, float64 [A, 4].

    Level by level, row by row, cell by cell, and in each cell the level's shapes in order: as SSD (Liu et al. 2016) and
    BlazeFace (Bazarevsky et al. 2019) order their outputs.

    Args:
        image_size: height and width of the model's input.
        strides: pixels a cell, one a level; a level has ceil(size / stride) cells.
        shapes: width and height in pixels of the anchors of a cell, for each level.
        cell_offset: where in its cell an anchor's centre is, as a share of the stride.
    """
    height, width = image_size
    levels = []
    for stride, level in zip(strides, shapes, strict=True):
        rows, columns = np.indices((math.ceil(height / stride), math.ceil(width / stride)))
        centres = np.stack(((columns + cell_offset) * stride, (rows + cell_offset) * stride), axis=-1).reshape(-1, 1, 2)
        extents = np.array(level, dtype=np.float64).reshape(1, -1, 2)
        pairs = (centres.shape[0], extents.shape[1], 2)
        both = (np.broadcast_to(centres, pairs), np.broadcast_to(extents, pairs))
        levels.append(np.concatenate(both, axis=-1).reshape(-1, 4))
    return np.concatenate(levels)


def from_offsets(
    offsets: NDArray[Any], anchors: NDArray[np.float64], *, variances: tuple[float, ...], size_coding: str
) -> NDArray[np.float64]:
    """Return the boxes of offsets [N, A, 4] (x, y, width, height) from anchors [A, 4], in the anchors' form, float64.

    A centre moves by offset * variance * the anchor's extent. A size is the anchor's times e**(offset * variance)
    (``size_coding`` "exp"), or times offset * variance ("linear").

    Args:
        offsets: [N, A, 4].
        anchors: float64 [A, 4] as centre x, centre y, width, height.
        variances: of centres and of sizes.
        size_coding: "exp" or "linear".
    """
    values = offsets.astype(np.float64)
    centres = values[..., :2] * variances[0] * anchors[:, 2:] + anchors[:, :2]
    factors = values[..., 2:] * variances[1]
    if size_coding == "exp":
        factors = np.exp(np.minimum(factors, _MOST_LOG_SIZE))
    return np.concatenate((centres, factors * anchors[:, 2:]), axis=-1)
