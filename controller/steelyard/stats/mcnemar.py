"""McNemar's test: did one of two models answer more of the same samples right than the other?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, gammaln

from steelyard.stats.accuracy import discordant

# Fewer samples on which only one was right: the exact test, which never says too much; with more the mid-p test is
# about as safe and finds more (Fagerland, Lydersen and Laake, BMC Med. Res. Methodol. 13:91, 2013).
_FEW = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """A two-sided p-value, ``method`` "exact" or "mid-p", and on how many samples only one of the two was right."""

    p_value: float
    method: str
    lost_count: int
    gained_count: int

    @property
    def sentence(self) -> str:
        """Return it for people: "McNemar p = 0.031 (exact): 9 answers lost, 1 gained"."""
        return (
            f"McNemar p = {self.p_value:.2g} ({self.method}): {self.lost_count} answer"
            f"{'' if self.lost_count == 1 else 's'} lost, {self.gained_count} gained"
        )


def mcnemar(reference_correct: NDArray[np.bool_], candidate_correct: NDArray[np.bool_]) -> McNemar:
    """Test whether two models that answered the same samples are as often right.

    Args:
        reference_correct: Whether the reference answered each sample right, bool [samples].
        candidate_correct: The same samples in the same order.

    Raises:
        ValueError: the samples do not pair up.
    """
    lost, gained, _ = discordant(reference_correct, candidate_correct)
    count, fewer = lost + gained, min(lost, gained)
    is_exact = count < _FEW
    tail = float(bdtr(fewer, count, 0.5)) if count else 1.0
    p_value = 2.0 * tail if is_exact else 2.0 * tail - _chance(fewer, count)
    # The two tails share the middle when as many were lost as gained.
    if count and not is_exact and lost == gained:
        p_value = 1.0
    return McNemar(
        p_value=min(1.0, p_value), method="exact" if is_exact else "mid-p", lost_count=lost, gained_count=gained
    )


def _chance(fewer: int, count: int) -> float:
    """Return the probability of just ``fewer`` heads in ``count`` tosses."""
    return float(np.exp(gammaln(count + 1) - gammaln(fewer + 1) - gammaln(count - fewer + 1) - count * np.log(2.0)))
