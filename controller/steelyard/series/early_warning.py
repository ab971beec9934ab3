"""Does tonight look different from the nights before it? A window over the last nights against those before them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

# The last one, two and three nights: one bad night is seen at once, a small change after three.
WINDOWS = (1, 2, 3)
# About four weeks: longer ones remember what the device no longer is.
LONGEST_PAST = 28
# As of the sentinel: with fewer nights their spread is a guess.
LEAST_PAST = 5
# Series of a quiet device differ by less from night to night than anybody would act on.
LEAST_DEVIATION = 0.003
# Makes the median of absolute deviations a standard deviation, for a normal distribution (Hampel 1974).
_MAD_TO_DEVIATION = 1.4826
# The variance of a median over that of a mean, for the same.
_MEDIAN_VARIANCE = math.pi / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How the last ``window`` nights differ from those before, on the log scale.

    ``size`` is their mean less ``centre``, the median of ``past_count`` nights before, whose robust standard deviation
    is ``deviation``. ``p_more`` and ``p_less`` are one-sided, times the number of windows (Bonferroni).
    """

    window: int
    size: float
    centre: float
    deviation: float
    past_count: int
    p_more: float
    p_less: float


def shifts(logs: NDArray[np.float64]) -> tuple[Shift, ...]:
    """Return how the last one, two and three nights differ from up to 28 nights before them.

    Args:
        logs: Logs of the nights since the last accepted change, oldest first, tonight last [N], all finite.

    Returns:
        One for each window that has five nights or more before it; empty on the first nights.
    """
    windows = [window for window in WINDOWS if logs.size - window >= LEAST_PAST]
    return tuple(_shift(logs, window, len(windows)) for window in windows)


def _shift(logs: NDArray[np.float64], window: int, window_count: int) -> Shift:
    past = logs[max(0, logs.size - window - LONGEST_PAST) : logs.size - window]
    centre = float(np.median(past))
    deviation = robust_deviation(past, centre)
    size = float(np.mean(logs[-window:])) - centre
    error = deviation * math.sqrt(1.0 / window + _MEDIAN_VARIANCE / past.size)
    t = size / error
    more, less = (float(stdtr(past.size - 1.0, sign * t)) for sign in (-1.0, 1.0))
    return Shift(
        window=window,
        size=size,
        centre=centre,
        deviation=deviation,
        past_count=int(past.size),
        p_more=min(1.0, window_count * more),
        p_less=min(1.0, window_count * less),
    )


def robust_deviation(values: NDArray[np.float64], centre: float) -> float:
    """Return the standard deviation by the median of absolute deviations from ``centre``, 0.3 % at least.

    A few outliers do not move it. It is made larger for few values, of which the median of absolute deviations is too
    small on average (Croux and Rousseeuw 1992: N / (N - 0.8)).
    """
    count = values.size
    middle = float(np.median(np.abs(values - centre)))
    return max(LEAST_DEVIATION, _MAD_TO_DEVIATION * middle * count / (count - 0.8))
