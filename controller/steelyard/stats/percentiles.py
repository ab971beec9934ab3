"""Figures over rounds: the percentile of each round, then an interval over the rounds, never over pooled samples.

Samples of one launch share its state, so that pooling them is pseudo-replication: an interval within one launch held
the true median in 4 to 52 % of cases (docs/measuring.md). The round is the unit of every interval.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.student import MIN_ROUND_COUNT, MeanInterval, mean_interval, series_interval

# Early stopping of MLPerf's LoadGen: confidence 0.99, tolerance 0, at least two samples beyond the percentile.
EARLY_STOPPING_CONFIDENCE = 0.99
# Beyond e^709 a float overflows; an end out there says no more than that nothing is known.
_MOST_LOG = 700.0


@lru_cache(maxsize=64)
def required_sample_count(percentile: float) -> int:
    """Return how many samples a percentile needs before it may be printed: 64 for p90, 130 for p95, 662 for p99.

    It is the smallest n for which at most one sample beyond the true percentile has a probability of 1 % at most
    (LoadGen's early stopping with one sample discarded).
    """
    if not 0.0 < percentile < 100.0:
        raise ValueError(f"a percentile lies between 0 and 100, not {percentile!r}")
    tail = min(percentile, 100.0 - percentile) / 100.0

    def enough(count: int) -> bool:
        return float(bdtr(1, count, tail)) <= 1.0 - EARLY_STOPPING_CONFIDENCE

    # A Poisson count of mean 6.64 is at most 1 with 1 %; 7 expected samples beyond the percentile are always enough.
    return 2 + bisect_left(range(2, math.ceil(7.0 / tail) + 8), True, key=enough)


def round_percentiles(rounds: Sequence[NDArray[np.int64]], percentile: float) -> NDArray[np.float64]:
    """Return the percentile of each round, in nanoseconds, shape [rounds].

    The estimator is the median-unbiased one (Hyndman and Fan 1996, definition 8): a round may hold few samples.

    Raises:
        ValueError: a round is empty.
    """
    if any(np.size(samples) == 0 for samples in rounds):
        raise ValueError("a round without samples is no round; leave it out")
    return np.array(
        [np.percentile(samples, percentile, method="median_unbiased") for samples in rounds], dtype=np.float64
    )


def percentile_over_rounds(
    rounds: Sequence[NDArray[np.int64]], percentile: float, *, confidence: float = 0.95
) -> Estimate:
    """Estimate a latency percentile in nanoseconds, with a t interval on the log scale over the rounds.

    Args:
        rounds: The samples of each round, each an int64 array [samples] of nanoseconds.
        percentile: 50 for the median; strictly between 0 and 100.
        confidence: Of the two-sided interval.

    Returns:
        The geometric mean over rounds; unknown below ``required_sample_count`` samples in all; a value without an
        interval below three rounds.
    """
    needed = required_sample_count(percentile)
    sample_count = sum(int(np.size(samples)) for samples in rounds)
    if rounds and sample_count < needed:
        reason = (
            f"p{percentile:g} needs {needed} samples in all, there are {sample_count}: "
            "measure more rounds or a longer sample window"
        )
        return unknown("ns", reason, confidence=confidence, observation_count=len(rounds))
    return value_over_rounds(round_percentiles(rounds, percentile).tolist(), "ns", confidence)


def value_over_rounds(values: Sequence[float], unit: str, confidence: float = 0.95) -> Estimate:
    """Estimate one figure per round (load time, first inference, memory, energy) with a t interval over the rounds.

    Positive values are taken on the log scale (geometric mean); with a value of 0 or below, on their own scale. Rounds
    come in their order: the interval is widened by how much neighbours resemble each other.

    Raises:
        ValueError: a value is not finite.
    """
    return _over_rounds(values, unit, confidence, series_interval)


def mean_over_rounds(values: Sequence[float], unit: str, confidence: float = 0.95) -> Estimate:
    """Estimate a difference, one value per round, like ``value_over_rounds`` but always on its own scale.

    Differences of noise have either sign; a geometric mean of those rounds that happen to be positive is too low.
    """
    return _over_rounds(values, unit, confidence, series_interval, may_be_negative=True)


def ratio_over_rounds(ratios: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Estimate the ratio of two artifacts, one value a round, like ``value_over_rounds`` but for independent rounds.

    What neighbouring rounds share, the two artifacts of a round share as well: it is not in their ratio.
    """
    return _over_rounds(ratios, "ratio", confidence, mean_interval)


def _over_rounds(
    values: Sequence[float],
    unit: str,
    confidence: float,
    interval_of: Callable[[NDArray[np.float64], float], MeanInterval],
    *,
    may_be_negative: bool = False,
) -> Estimate:
    array = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"values over rounds are finite, not {array[~np.isfinite(array)][0]!r}")
    if array.size == 0:
        return unknown(unit, "no round was measured", confidence=confidence)
    positive = not may_be_negative and bool(np.all(array > 0.0))
    if array.size < MIN_ROUND_COUNT:
        return _without_interval(array, positive=positive, unit=unit, confidence=confidence)
    if np.all(array == array[0]):
        value = low = high = float(array[0])
    elif positive:
        interval = interval_of(np.log(array), confidence)
        value, low, high = (math.exp(min(end, _MOST_LOG)) for end in (interval.mean, interval.low, interval.high))
    else:
        interval = interval_of(array, confidence)
        value, low, high = interval.mean, interval.low, interval.high
    return Estimate(
        value=value, low=low, high=high, confidence=confidence, unit=unit, observation_count=int(array.size)
    )


def _without_interval(array: NDArray[np.float64], *, positive: bool, unit: str, confidence: float) -> Estimate:
    count = int(array.size)
    value = math.exp(float(np.mean(np.log(array)))) if positive and count > 1 else float(np.mean(array))
    return Estimate(
        value=value,
        low=None,
        high=None,
        confidence=confidence,
        unit=unit,
        observation_count=count,
        reason=f"an interval needs {MIN_ROUND_COUNT} rounds, there {'is' if count == 1 else 'are'} {count}",
    )


def pooled_quantiles(rounds: Sequence[NDArray[np.int64]], count: int = 101) -> NDArray[np.float64]:
    """Return ``count`` evenly spaced quantiles (0 to 1) of all samples, for plots; no interval rests on them.

    Returns:
        Nanoseconds, shape [count]; empty when there are no samples.
    """
    if count < 2:
        raise ValueError(f"quantiles from 0 to 1 are at least 2, not {count}")
    samples = np.concatenate([np.asarray(one, dtype=np.float64) for one in rounds]) if rounds else np.empty(0)
    return np.quantile(samples, np.linspace(0.0, 1.0, count)) if samples.size else np.empty(0)
