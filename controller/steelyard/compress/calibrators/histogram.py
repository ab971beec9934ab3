"""Counts of values in fixed bins around zero, the form in which choices of ranges see activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# As TensorRT and onnxruntime have it: eight bins a step of 8-bit arithmetic.
BIN_COUNT = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts [bins] int64 of equal bins from ``low`` to ``high``, which is symmetric where any value is negative.

    Exact zeros are counted apart in ``zero_count``: every grid represents them without an error, and behind a ReLU they
    are most of the values. ``smallest`` and ``largest`` are the extremes that were seen.
    """

    smallest: float
    largest: float
    counts: NDArray[np.int64]
    zero_count: int = 0

    @classmethod
    def empty(cls, smallest: float, largest: float, *, bin_count: int = BIN_COUNT) -> Histogram:
        """Return a histogram that nothing was counted in; the extremes must be finite and not both 0."""
        return cls(smallest=smallest, largest=largest, counts=np.zeros(bin_count, dtype=np.int64))

    @property
    def high(self) -> float:
        """The upper end of the last bin."""
        return max(abs(self.smallest), abs(self.largest))

    @property
    def low(self) -> float:
        """The lower end of the first bin."""
        return -self.high if self.smallest < 0 else 0.0

    @property
    def edges(self) -> NDArray[np.float64]:
        """The ends [bins + 1] of the bins."""
        return np.linspace(self.low, self.high, self.counts.size + 1)

    @property
    def centers(self) -> NDArray[np.float64]:
        """The middles [bins] of the bins."""
        edges = self.edges
        return np.asarray((edges[:-1] + edges[1:]) / 2)

    def with_values(self, values: NDArray[Any]) -> Histogram:
        """Return a histogram with ``values`` counted too; values outside of the extremes go into the end bins."""
        flat = values.reshape(-1)
        nonzero = flat[flat != 0]
        bin_count = self.counts.size
        scale = bin_count / (self.high - self.low)
        places = np.clip((nonzero.astype(np.float64) - self.low) * scale, 0, bin_count - 1).astype(np.int64)
        return Histogram(
            smallest=self.smallest,
            largest=self.largest,
            counts=self.counts + np.bincount(places, minlength=bin_count),
            zero_count=self.zero_count + flat.size - nonzero.size,
        )

    def magnitudes(self) -> NDArray[np.int64]:
        """Return the counts by absolute value, from 0 to ``high``: half as many bins where any value is negative."""
        if self.low == 0.0:
            return self.counts
        half = self.counts.size // 2
        return np.asarray(self.counts[half:] + self.counts[:half][::-1])
