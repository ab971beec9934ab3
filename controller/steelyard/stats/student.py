"""The t interval of a mean, on which every interval over rounds rests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from steelyard.stats.serial import serial_correlation, variance_inflation

# With two rounds t(0.975, 1 degree of freedom) is 12.7: an interval that says nothing, so three are asked for.
MIN_ROUND_COUNT = 3
# Fewer make intervals of six rounds half as wide again, for one or two percent more of coverage.
_LEAST_DEGREES = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanInterval:
    """A mean with its two-sided t interval; ``deviation`` is the sample's standard deviation (n - 1)."""

    mean: float
    half_width: float
    deviation: float
    count: int

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half_width

    @property
    def standard_error(self) -> float:
        """The standard error of the mean."""
        return self.deviation / math.sqrt(self.count)


def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t."""
    return float(stdtrit(degrees, probability))


def series_interval(values: NDArray[np.float64], confidence: float) -> MeanInterval:
    """Return the mean of ``values`` [N >= 2], in the order in which they came, with an interval that knows drift.

    The variance is inflated by the correlation of neighbours, the degrees of freedom shrink to those of as many
    independent values (``steelyard.stats.serial``).
    """
    plain = mean_interval(values, confidence)
    inflation = variance_inflation(serial_correlation([values]))
    degrees = min(plain.count - 1.0, max(_LEAST_DEGREES, plain.count / inflation - 1.0))
    return MeanInterval(
        mean=plain.mean,
        half_width=t_quantile(0.5 + confidence / 2.0, degrees) * plain.standard_error * math.sqrt(inflation),
        deviation=plain.deviation,
        count=plain.count,
    )


def mean_interval(values: NDArray[np.float64], confidence: float) -> MeanInterval:
    """Return the mean of ``values`` [N >= 2] with its t interval. Equal values have an interval of no width."""
    count = values.size
    # Rounding must not give equal values a spread, nor a mean beside them.
    equal = bool(np.all(values == values[0]))
    deviation = 0.0 if equal else float(np.std(values, ddof=1))
    return MeanInterval(
        mean=float(values[0]) if equal else float(np.mean(values)),
        half_width=t_quantile(0.5 + confidence / 2.0, count - 1) * deviation / math.sqrt(count),
        deviation=deviation,
        count=count,
    )
