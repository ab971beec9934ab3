"""Accuracy from counts of correct answers, and what a variant loses against its original on the same samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from steelyard.stats.estimate import Estimate, unknown

_NOTHING_EVALUATED = "no sample was evaluated"


def wilson(correct: int, total: int, confidence: float = 0.95) -> Estimate:
    """Estimate an accuracy, as a fraction, with Wilson's score interval (Wilson 1927; Newcombe 1998, method 3)."""
    if not 0 <= correct <= total:
        raise ValueError(f"{correct} correct answers out of {total} samples make no sense")
    if total == 0:
        return unknown("fraction", _NOTHING_EVALUATED, confidence=confidence)
    z = float(ndtri(0.5 + confidence / 2.0))
    share = correct / total
    centre = (correct + z * z / 2.0) / (total + z * z)
    half = z / (total + z * z) * math.sqrt(total * share * (1.0 - share) + z * z / 4.0)
    return Estimate(
        value=share,
        # At 0 and at 1 the ends meet the value exactly; rounding must not put them beside it.
        low=0.0 if correct == 0 else min(centre - half, share),
        high=1.0 if correct == total else max(centre + half, share),
        confidence=confidence,
        unit="fraction",
        observation_count=total,
    )


def paired_drop(
    reference_correct: NDArray[np.bool_], candidate_correct: NDArray[np.bool_], confidence: float = 0.95
) -> Estimate:
    """Estimate the accuracy of the reference minus that of the candidate, in percentage points; above 0 is worse.

    The interval is the adjusted Wald interval for paired proportions (Bonett and Price 2012, J. Educ. Behav. Stat.
    37(4), 479-488), which Fagerland, Lydersen and Laake (2014, Stat. Med. 33) recommend: it adds half a pair to each
    discordant cell twice over, and keeps its coverage where hardly any answer differs.

    Args:
        reference_correct: Whether the reference answered each sample right, bool [samples].
        candidate_correct: The same samples in the same order.
        confidence: Of the two-sided interval.
    """
    lost, gained, total = discordant(reference_correct, candidate_correct)
    if total == 0:
        return unknown("pp", _NOTHING_EVALUATED, confidence=confidence)
    value = (lost - gained) / total
    share_lost, share_gained = (lost + 1) / (total + 2), (gained + 1) / (total + 2)
    centre = share_lost - share_gained
    variance = (share_lost + share_gained - centre * centre) / (total + 2)
    half = float(ndtri(0.5 + confidence / 2.0)) * math.sqrt(variance)
    return Estimate(
        value=100.0 * value,
        low=100.0 * min(value, max(-1.0, centre - half)),
        high=100.0 * max(value, min(1.0, centre + half)),
        confidence=confidence,
        unit="pp",
        observation_count=total,
    )


def discordant(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return how many only the reference got right, how many only the candidate, and how many samples there are.

    Raises:
        ValueError: the samples do not pair up, or an answer is neither right nor wrong.
    """
    if reference.shape != candidate.shape or reference.ndim != 1:
        raise ValueError(f"answers are paired by sample: shapes {reference.shape} and {candidate.shape} do not pair up")
    if reference.dtype != np.bool_ or candidate.dtype != np.bool_:
        raise ValueError(f"answers are right or wrong, bool, not {reference.dtype} and {candidate.dtype}")
    return int(np.sum(reference & ~candidate)), int(np.sum(candidate & ~reference)), int(reference.size)
