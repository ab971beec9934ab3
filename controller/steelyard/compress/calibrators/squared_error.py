"""The clipping with the least mean squared error: the steps inside of the range against what it cuts off.

The noise of a grid with step d is d * d / 12 (uniform rounding errors, W. R. Bennett, 1948); the cut is summed from the
histogram. Both sides are searched together where the grid is not symmetric.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibrators.histogram import Histogram

_CANDIDATE_COUNT = 128


def squared_error_range(histogram: Histogram, *, levels: int, symmetric: bool) -> tuple[float, float]:
    """Return the range of least mean squared error for a grid of ``levels`` values."""
    counts, centers = histogram.counts.astype(np.float64), histogram.centers
    shares = np.arange(1, _CANDIDATE_COUNT + 1) / _CANDIDATE_COUNT
    noise_per_width2 = counts.sum() / (12.0 * (levels - 1) ** 2)
    if symmetric:
        ends = shares * histogram.high
        losses = _cut_off(counts, centers, ends) + _cut_off(counts, -centers, ends) + noise_per_width2 * (2 * ends) ** 2
        end = float(ends[int(np.argmin(losses))])
        return max(histogram.smallest, -end), min(histogram.largest, end)
    highs = shares * histogram.largest if histogram.largest > 0 else np.zeros(1)
    lows = -shares * histogram.smallest if histogram.smallest < 0 else np.zeros(1)
    widths = lows[:, None] + highs[None, :]
    losses = (
        _cut_off(counts, -centers, lows)[:, None]
        + _cut_off(counts, centers, highs)[None, :]
        + noise_per_width2 * widths**2
    )
    low, high = np.unravel_index(int(np.argmin(losses)), losses.shape)
    return -float(lows[low]), float(highs[high])


def _cut_off(counts: NDArray[Any], centers: NDArray[Any], ends: NDArray[Any]) -> NDArray[np.float64]:
    """Return for each of ``ends`` the summed squared error of the values above it."""
    beyond = np.maximum(centers[None, :] - ends[:, None], 0.0)
    return np.asarray(np.square(beyond) @ counts)
