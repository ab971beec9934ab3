"""What so many rounds of such a spread would show, and how many would show a given change."""

from __future__ import annotations

import math
from bisect import bisect_left

from steelyard.stats.estimate import Estimate
from steelyard.stats.student import MeanInterval, t_quantile

POWER = 0.8
# Beyond this many rounds a device would be busy for hours: there is no use in naming a figure.
_MOST_ROUNDS = 2000


def detectable_effect(interval: MeanInterval, confidence: float) -> Estimate:
    """Return the least relative change whose interval at ``confidence`` would exclude 1 with a probability of 0.8.

    Args:
        interval: Of the mean log ratio over the rounds.
        confidence: Of the test.

    Returns:
        A fraction (0.013: 1.3 %) without an interval: it is a figure of these rounds, not a property of the device.
    """
    reach = _reach(interval.deviation, interval.count, confidence)
    return Estimate(
        value=math.expm1(reach),
        low=None,
        high=None,
        confidence=confidence,
        unit="fraction",
        observation_count=interval.count,
        reason=f"the least change that {interval.count} rounds of this spread show in {100 * POWER:g} % of tries",
    )


def more_rounds(interval: MeanInterval, confidence: float, distance: float) -> int | None:
    """Return how many more rounds would probably make an interval narrower than ``distance`` (log scale).

    Returns:
        One or more; None when more than 2000 in all would be needed.
    """
    counts = range(interval.count + 1, _MOST_ROUNDS + 1)
    index = bisect_left(counts, True, key=lambda count: _reach(interval.deviation, count, confidence) <= distance)
    return index + 1 if index < len(counts) else None


def _reach(deviation: float, count: int, confidence: float) -> float:
    """Return the log effect whose interval excludes 0 with a probability of ``POWER`` over ``count`` rounds."""
    quantiles = t_quantile(0.5 + confidence / 2.0, count - 1) + t_quantile(POWER, count - 1)
    return quantiles * deviation / math.sqrt(count)
