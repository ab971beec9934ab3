"""Wilcoxon's signed-rank test, exact with ties: the cross-check that needs no normal distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def signed_rank_p(differences: NDArray[np.float64]) -> float:
    """Return the exact two-sided p-value of Wilcoxon's signed-rank test; zeros are left out (Wilcoxon 1945).

    Tied sizes get their middle rank; doubled, these ranks are integers, so that the distribution over all signs is
    counted exactly. Without any difference the answer is 1.
    """
    present = differences[differences != 0.0]
    if present.size == 0:
        return 1.0
    ranks = _doubled_ranks(np.abs(present))
    distribution = _distribution(ranks)
    positive = int(ranks[present > 0.0].sum())
    lower = float(distribution[: positive + 1].sum())
    upper = float(distribution[positive:].sum())
    return min(1.0, 2.0 * min(lower, upper))


def _doubled_ranks(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((2 * last - counts + 1)[inverse], dtype=np.int64)


def _distribution(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of each sum of positive ranks when every sign is as likely as the other."""
    probability = np.zeros(int(ranks.sum()) + 1, dtype=np.float64)
    probability[0] = 1.0
    for rank in ranks.tolist():
        shifted = np.zeros_like(probability)
        shifted[rank:] = probability[:-rank]
        probability = (probability + shifted) / 2.0
    return probability
