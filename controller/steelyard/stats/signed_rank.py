"""Wilcoxon's signed-rank test of paired rounds: a cross-check that no single wild round can sway."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

# Beyond this many pairs the normal approximation is right to three digits, and the exact one takes seconds.
_MOST_EXACT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRank:
    """The two-sided p-value that differences are symmetric around 0, and the Hodges-Lehmann estimate of their centre.

    ``least_p_value`` is the smallest that so few pairs can reach.
    """

    p_value: float
    centre: float
    least_p_value: float


def signed_rank(differences: NDArray[np.float64]) -> SignedRank:
    """Test differences [N >= 1] of pairs.

    Wilcoxon, Biometrics Bulletin 1 (1945), 80-83; zeros are dropped, ties share their ranks. Exact given those ranks up
    to 200 pairs, then the normal approximation with its correction for continuity. The centre is the median of all
    pairwise means (Hodges and Lehmann 1963).

    Raises:
        ValueError: there is no difference, or one that is not finite.
    """
    if differences.size == 0 or not np.all(np.isfinite(differences)):
        raise ValueError("a signed-rank test takes one finite difference or more")
    signed = differences[differences != 0.0]
    centre = _centre(differences)
    if signed.size == 0:
        return SignedRank(p_value=1.0, centre=centre, least_p_value=1.0)
    # Doubled, so that shared ranks are whole numbers, too.
    ranks = _doubled_ranks(np.abs(signed))
    above = int(ranks[signed > 0.0].sum())
    tail = min(above, int(ranks.sum()) - above)
    p_value = _exact(ranks, tail) if signed.size <= _MOST_EXACT else _approximate(ranks, tail)
    return SignedRank(p_value=min(1.0, p_value), centre=centre, least_p_value=2.0 ** (1 - signed.size))


def _centre(differences: NDArray[np.float64]) -> float:
    means = (differences[:, None] + differences[None, :]) / 2.0
    return float(np.median(means[np.triu_indices(differences.size)]))


def _doubled_ranks(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    doubled: NDArray[np.int64] = (2 * last - counts + 1)[inverse]
    return doubled


def _exact(ranks: NDArray[np.int64], tail: int) -> float:
    """Return the probability of a sum as far out as ``tail`` when each sign is a coin's toss."""
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks:
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: chances.size - rank]
        chances = (chances + moved) / 2.0
    return float(2.0 * chances[: tail + 1].sum())


def _approximate(ranks: NDArray[np.int64], tail: int) -> float:
    # In doubled ranks a step is 2, and half of it corrects for continuity.
    distance = ranks.sum() / 2.0 - tail - 1.0
    deviation = math.sqrt(float(np.sum(ranks.astype(np.float64) ** 2))) / 2.0
    return float(2.0 * ndtr(-max(0.0, distance) / deviation))
