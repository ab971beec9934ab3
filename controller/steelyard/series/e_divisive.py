"""Where a series is best split in two: the statistic of E-divisive, for many series at once.

Matteson and James, A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data, JASA 109 (2014),
334-345 (arXiv:1306.4933), for one variable and distances to the power of 1; no permutations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Series at a time, so that the distances of 50 nights stay within the processor's caches.
_AT_A_TIME = 64
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Splits:
    """The best split of each series.

    ``indices`` [S] are of the first night after it, ``ends`` [S] one past the last night that was compared,
    ``statistics`` [S] are Q.
    """

    indices: NDArray[np.int64]
    ends: NDArray[np.int64]
    statistics: NDArray[np.float64]


def best_splits(series: NDArray[np.float64], min_size: int = 3) -> Splits:
    """Return the split of each series whose two sides differ most.

    The right side may end before the series does, as in the paper: a level that came and went is found, too.

    Args:
        series: Of one length, [S, N], finite.
        min_size: Nights that each side has at least.

    Raises:
        ValueError: the series are too short to be split, or the least size is not above 0.
    """
    count = series.shape[1] if series.ndim == 2 else 0
    if min_size < 1 or count < 2 * min_size:
        raise ValueError(f"series of shape {series.shape} have no two sides of {min_size} nights")
    parts = [_best_of_part(series[begin : begin + _AT_A_TIME], min_size) for begin in range(0, len(series), _AT_A_TIME)]
    parts = parts or [Splits(indices=_NONE, ends=_NONE, statistics=np.zeros(0))]
    return Splits(
        indices=np.concatenate([part.indices for part in parts]),
        ends=np.concatenate([part.ends for part in parts]),
        statistics=np.concatenate([part.statistics for part in parts]),
    )


def _best_of_part(series: NDArray[np.float64], min_size: int) -> Splits:
    statistics = split_statistics(series, min_size).reshape(len(series), -1)
    best = np.argmax(statistics, axis=1)
    splits, ends = _ends(series.shape[1], min_size)
    return Splits(
        indices=splits[best // ends.size],
        ends=ends[best % ends.size],
        statistics=statistics[np.arange(len(series)), best],
    )


def split_statistics(series: NDArray[np.float64], min_size: int = 3) -> NDArray[np.float64]:
    """Return Q [S, splits, ends] of every split after ``min_size`` nights and more, and every end; -inf where none is.

    With n nights before the split and m from there to the end, Q is nm / (n + m) of the energy distance: twice the mean
    distance between the sides, less the mean distances within each.
    """
    count = series.shape[1]
    splits, ends = _ends(count, min_size)
    sums = np.zeros((len(series), count + 1, count + 1))
    np.abs(series[:, :, None] - series[:, None, :], out=sums[:, 1:, 1:])
    np.cumsum(sums, axis=1, out=sums)
    np.cumsum(sums, axis=2, out=sums)
    # Sums over the square before the split, over that before the end, and over the nights before each against each.
    left = sums[:, splits, splits][:, :, None]
    whole = sums[:, ends, ends][:, None, :]
    both = sums[:, splits[:, None], ends[None, :]]
    n = splits[:, None].astype(np.float64)
    m = np.maximum(1.0, ends[None, :] - n)
    between = both - left
    right = whole - left - 2.0 * between
    # A side of one night has no distances within.
    q = (2.0 * between - m * left / np.maximum(1.0, n - 1.0) - n * right / np.maximum(1.0, m - 1.0)) / (n + m)
    return np.where(ends[None, :] - splits[:, None] >= min_size, q, -np.inf)


def _ends(count: int, min_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the splits and the ends that there may be: as many of one as of the other."""
    return np.arange(min_size, count - min_size + 1), np.arange(2 * min_size, count + 1)
