"""The range that holds a given share of the values."""

from __future__ import annotations

import numpy as np

from steelyard.compress.calibrators.histogram import Histogram


def percentile_range(histogram: Histogram, percentile: float) -> tuple[float, float]:
    """Return the range that ``percentile`` per cent of the values lie in, half of the others on each side.

    Zeros count: most values behind a ReLU. Within a bin the values are taken as spread evenly.
    """
    counts = histogram.counts.astype(np.float64)
    edges = histogram.edges
    zero_bin = min(int(np.searchsorted(edges, 0.0, side="right")) - 1, counts.size - 1)
    counts[zero_bin] += histogram.zero_count
    cumulative = np.concatenate([[0.0], np.cumsum(counts)]) / max(counts.sum(), 1.0)
    tail = (100.0 - percentile) / 200.0
    low, high = np.interp([tail, 1.0 - tail], cumulative, edges)
    return max(float(low), histogram.smallest), min(float(high), histogram.largest)
