"""Few different values in place of many: k-means of weights, in one dimension. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# It settles within a few dozen rounds; the bound is for values that alternate by rounding.
_MOST_ROUNDS = 100


def clustered(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return an array of at most ``count`` different values, each the mean of what it stands for; zero stays zero.

    The work grows with the values' sorting, not with their number times ``count``: clusters of one dimension are
    intervals.
    """
    flat = values.reshape(-1)
    ordered = np.sort(flat.astype(np.float64))
    if len(np.unique(ordered)) <= count:
        return values
    # A zero that became something else would undo what sparsify did.
    has_zeros = bool((ordered == 0).any())
    ordered = ordered[ordered != 0] if has_zeros else ordered
    means = _means(ordered, count - has_zeros)
    nearest = np.searchsorted((means[1:] + means[:-1]) / 2, flat)
    shared = np.where((flat == 0) & has_zeros, 0.0, means[nearest])
    return shared.astype(np.float32).reshape(values.shape)


def _means(ordered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return ascending means of intervals of sorted values, begun with means spread evenly over the range."""
    sums, squares = (np.concatenate([[0.0], np.cumsum(one)]) for one in (ordered, ordered**2))
    means = np.linspace(ordered[0], ordered[-1], count)
    for _round in range(_MOST_ROUNDS):
        places = np.searchsorted(ordered, (means[1:] + means[:-1]) / 2)
        starts, ends = np.concatenate([[0], places]), np.concatenate([places, [len(ordered)]])
        sizes = ends - starts
        following = np.where(sizes > 0, (sums[ends] - sums[starts]) / np.maximum(sizes, 1), means)
        if np.array_equal(following, means):
            spread = squares[ends] - squares[starts] - sizes * following**2
            if sizes.all() or spread.max() <= 0:
                break
            following = _split_widest(following, sizes, spread)
        means = following
    return means


def _split_widest(
    means: NDArray[np.float64], sizes: NDArray[np.intp], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the means with one that stands for nothing taken to where the squared error is largest."""
    widest = int(spread.argmax())
    deviation = np.sqrt(spread[widest] / sizes[widest])
    moved = means.copy()
    moved[int((sizes == 0).argmax())] = means[widest] + deviation
    moved[widest] = means[widest] - deviation
    return np.sort(moved)
