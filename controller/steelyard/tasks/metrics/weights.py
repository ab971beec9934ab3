"""How often each sample counts, and the plainest answers: the mean of one figure a sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanAnswers:
    """One figure a sample, float64 [N]; the metric is their mean, or the root of the mean where they are squares."""

    values: NDArray[np.float64]
    is_squared: bool

    @property
    def sample_count(self) -> int:
        """How many samples were answered."""
        return int(self.values.size)

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the mean; None without samples."""
        weights = sample_counts(counts, self.sample_count)
        total = int(weights.sum())
        if total == 0:
            return None
        mean = float(weights @ self.values) / total
        return math.sqrt(mean) if self.is_squared else mean


def sample_counts(counts: NDArray[np.int64] | None, sample_count: int) -> NDArray[np.int64]:
    """Return ``counts`` [N], or ones where it is None.

    Raises:
        ValueError: another number of counts than of samples.
    """
    if counts is None:
        return np.ones(sample_count, dtype=np.int64)
    if counts.shape != (sample_count,):
        raise ValueError(f"counts of shape {counts.shape} do not fit {sample_count} samples")
    return counts
