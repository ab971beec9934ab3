"""Which candidates to confirm first: ordered by p-value, with Benjamini and Hochberg's q beside each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.series.judgements import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCandidate:
    """A candidate and its place, from 1; ``q_value`` orders and is no error rate, since the p-values are not exact."""

    candidate: Candidate
    rank: int
    q_value: float


def ranked(candidates: Sequence[Candidate], hypothesis_count: int) -> tuple[RankedCandidate, ...]:
    """Return the candidates, the most certain first; those that differ exactly come before all others.

    Args:
        candidates: Of one night.
        hypothesis_count: How many series were judged, each way: what the q-values (Benjamini and Hochberg 1995) are
            adjusted for.

    Raises:
        ValueError: fewer hypotheses than candidates.
    """
    if hypothesis_count < len(candidates):
        raise ValueError(f"{len(candidates)} candidates of {hypothesis_count} hypotheses cannot be")
    ordered = sorted(candidates, key=_order)
    p_values = np.array([one.p_value or 0.0 for one in ordered])
    raised = np.minimum(1.0, p_values * hypothesis_count / np.arange(1, len(ordered) + 1))
    # The least of those at this place and after it.
    q_values = np.minimum.accumulate(raised[::-1])[::-1]
    return tuple(
        RankedCandidate(candidate=one, rank=index + 1, q_value=float(q_values[index]))
        for index, one in enumerate(ordered)
    )


def _order(candidate: Candidate) -> tuple[float, float, str]:
    return candidate.p_value or 0.0, -abs(candidate.change or 0.0), candidate.key.words
