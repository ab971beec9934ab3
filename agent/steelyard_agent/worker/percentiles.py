"""Percentiles of the samples of one launch. Standard library only."""

from __future__ import annotations

from typing import Protocol

# MLPerf LoadGen, early stopping at confidence 0.99: below it a 90th percentile says nothing (docs/measuring.md).
LEAST_FOR_P90 = 64


class Ordered(Protocol):
    """Whole nanoseconds, sorted: a list, or an array of numpy's."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, index: int, /) -> int:
        """Return one."""
        ...


def percentile_ns(ordered: Ordered, share: float) -> int:
    """Return the median-unbiased estimate (Hyndman and Fan 1996, type 8) from sorted samples, rounded."""
    last = len(ordered) - 1
    position = min(max((len(ordered) + 1 / 3) * share + 1 / 3 - 1, 0.0), float(last))
    below = int(position)
    above = min(below + 1, last)
    return round(float(ordered[below]) + (position - below) * float(ordered[above] - ordered[below]))


def ninetieth_ns(ordered: Ordered) -> int | None:
    """Return the 90th percentile of sorted samples, None where there are too few to say it."""
    return percentile_ns(ordered, 0.9) if len(ordered) >= LEAST_FOR_P90 else None
