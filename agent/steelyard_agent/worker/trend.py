"""Whether latency still rises or falls within one launch: a note for the reader, never a gate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import sqrt
from statistics import median

_WINDOW_COUNT = 12
_LEAST_SAMPLES = 3 * _WINDOW_COUNT
# Two-sided 1 % of the normal distribution. Over fewer than about ten windows the normal approximation is poor, and
# over single iterations a third of healthy launches are called drifting: windows, and a strict bound.
_CRITICAL_Z = 2.576


def mann_kendall_z(values: Sequence[float]) -> float:
    """Return the Mann-Kendall statistic in standard deviations, corrected for ties (Kendall 1975); 0 without a trend.

    Positive means rising.
    """
    count = len(values)
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    ties = [list(values).count(value) for value in set(values)]
    variance = (count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance <= 0 or score == 0:
        return 0.0
    return (score - (1 if score > 0 else -1)) / sqrt(variance)


def trend_note(latency_ns: Sequence[int]) -> str:
    """Return a sentence when the medians of twelve windows have a trend, else ""."""
    if len(latency_ns) < _LEAST_SAMPLES:
        return ""
    size = len(latency_ns) // _WINDOW_COUNT
    medians = [median(latency_ns[index * size : (index + 1) * size]) for index in range(_WINDOW_COUNT)]
    z = mann_kendall_z(medians)
    if abs(z) < _CRITICAL_Z:
        return ""
    change = medians[-1] / max(medians[0], 1) - 1
    return (
        f"latency was {'rising' if z > 0 else 'falling'} within the launch (Mann-Kendall z {z:.1f}, "
        f"{change:+.1%} from the first to the last of {_WINDOW_COUNT} windows)"
    )
