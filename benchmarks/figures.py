"""Figures over rounds with their 95 % intervals, and whether they meet a target. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from steelyard.stats.student import MIN_ROUND_COUNT, mean_interval

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with its 95 % interval over rounds; the ends are None below three rounds."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Refuse an interval with one end, or one that does not hold its value."""
        if (self.low is None) != (self.high is None):
            raise ValueError(f"an interval has two ends, not {self.low!r} to {self.high!r}")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value!r} is not within {self.low!r} to {self.high!r}")

    def text(self, digits: int, unit: str = "") -> str:
        """Return "1.23 us (1.10 to 1.36)", or "1.23 us (too few rounds)"."""
        value = f"{self.value:.{digits}f}" + (f" {unit}" if unit else "")
        if self.low is None:
            return f"{value} (too few rounds)"
        return f"{value} ({self.low:.{digits}f} to {self.high:.{digits}f})"


class Standing(Enum):
    """What an interval says of a target."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"


def mean(values: Sequence[float]) -> Figure:
    """Return the arithmetic mean over rounds with its t interval."""
    if len(values) < MIN_ROUND_COUNT:
        return Figure(value=float(np.mean(values)))
    interval = mean_interval(np.array(values, dtype=np.float64), CONFIDENCE)
    return Figure(value=interval.mean, low=interval.low, high=interval.high)


def binomial_share(count: int, total: int) -> Figure:
    """Return a share of trials with its exact 95 % interval (Clopper and Pearson 1934).

    Raises:
        ValueError: no trial, or more successes than trials.
    """
    from scipy.special import betaincinv

    if not 0 <= count <= total or not total:
        raise ValueError(f"{count} of {total} is no share")
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(count, total - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
    return Figure(value=count / total, low=low, high=high)


def geometric_mean(values: Sequence[float]) -> Figure:
    """Return the geometric mean over rounds with a t interval on the log scale; ratios are paired by round.

    Raises:
        ValueError: a value is 0 or below.
    """
    if any(value <= 0 for value in values):
        raise ValueError(f"a geometric mean is of values above 0, not {min(values)!r}")
    logs = mean([math.log(value) for value in values])
    if logs.low is None or logs.high is None:
        return Figure(value=math.exp(logs.value))
    return Figure(value=math.exp(logs.value), low=math.exp(logs.low), high=math.exp(logs.high))


def standing(figure: Figure, *, least: float, most: float) -> Standing:
    """Say whether the whole interval lies within the target (met), all of it outside (missed), or neither."""
    if figure.low is None or figure.high is None:
        return Standing.UNDECIDED
    if least <= figure.low and figure.high <= most:
        return Standing.MET
    if figure.high < least or figure.low > most:
        return Standing.MISSED
    return Standing.UNDECIDED


def verdict_text(name: str, target: str, stands: Standing, measured: str) -> str:
    """Return one sentence: whether a target is met, the target, and what was measured."""
    more = "; run more rounds" if stands is Standing.UNDECIDED else ""
    return f"{name}: {stands.value}{more}. Target: {target}; measured {measured}."


def too_few_text(name: str, target: str, round_count: int, least: int) -> str:
    """Return what is said of a target below the rounds that it is held against."""
    return f"{name}: undecided, {round_count} of at least {least} rounds. Target: {target}."


def agreement_text(name: str, ratio: Figure, tolerance: float) -> str:
    """Return one sentence: whether a ratio lies within ``tolerance`` of 1."""
    stands = standing(ratio, least=1 - tolerance, most=1 + tolerance)
    return verdict_text(name, f"within {tolerance:.0%}", stands, ratio.text(4))
