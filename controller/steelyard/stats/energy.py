"""Gross and net energy per inference, their uncertainties, and what rounds allow to be said of them.

Uncertainties are expanded ones (k = 2) of the known parts: None is "not known", never 0, and what the sensor itself is
off by is in none of them. This module is the only one that adds them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean

import numpy as np

from steelyard.stats.estimate import Estimate
from steelyard.stats.percentiles import mean_over_rounds, value_over_rounds
from steelyard.stats.student import MIN_ROUND_COUNT, series_interval

NOT_DISTINGUISHABLE = "not distinguishable from idle"
BASELINE_DRIFT = "baseline_drift"
# Two baselines of one round that differ by more, and by more than they are uncertain by, are not of one state.
MOST_DRIFT = 0.03
_COVERAGE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """A value with its expanded uncertainty (k = 2) in the same unit; None where that is not known."""

    value: float
    expanded: float | None = None

    def __post_init__(self) -> None:
        """Refuse what nothing can be computed with."""
        if not math.isfinite(self.value) or not (self.expanded is None or 0 <= self.expanded < math.inf):
            raise ValueError(f"{self.value!r} with an uncertainty of {self.expanded!r} is no measured value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The idle power of one round in W; ``drifted`` says by how much its two halves differ when that is too much."""

    power: Uncertain
    drifted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEnergy:
    """What one source told of one model in one energy round.

    ``gross`` is J per inference; ``inference_s`` the window over the number of inferences in it, which in a paced mode
    is longer than an inference takes, None where no window was told. Without ``idle`` the reason is in ``why_no_idle``.
    ``loaded_w`` is the power asleep with the model loaded, None where nobody looked.
    """

    gross: Uncertain
    inference_s: float | None
    idle: Baseline | None = None
    why_no_idle: str = ""
    loaded_w: Uncertain | None = None

    def __post_init__(self) -> None:
        """Refuse inferences that take no time, and a missing baseline without a reason."""
        if self.inference_s is not None and not 0 < self.inference_s < math.inf:
            raise ValueError(f"an inference of {self.inference_s!r} s is none")
        if self.idle is None and not self.why_no_idle:
            raise ValueError("no idle power and no reason for that")

    @property
    def net(self) -> Uncertain | None:
        """Return (E - P_idle T) / N in J, None without a baseline or a window."""
        if self.idle is None or self.inference_s is None:
            return None
        idle = _scaled(self.idle.power, self.inference_s)
        return _difference(self.gross, idle)

    @property
    def mean_power(self) -> Uncertain | None:
        """Return the mean power of the window in W, None where no window was told."""
        return None if self.inference_s is None else _scaled(self.gross, 1 / self.inference_s)

    @property
    def loading(self) -> Uncertain | None:
        """Return what the loaded model draws above idle in W, None where one of both is not known."""
        return None if self.idle is None or self.loaded_w is None else _difference(self.loaded_w, self.idle.power)


def in_quadrature(*parts: float | None) -> float | None:
    """Return the root of the sum of squares; None when a part is not known."""
    known = [part for part in parts if part is not None]
    return math.hypot(*known) if len(known) == len(parts) else None


def baseline(before: Uncertain | None, after: Uncertain | None) -> Baseline | None:
    """Return the idle power of a round from what was seen before and after its models; None when neither was.

    Where within the round the power went from one to the other is not known: a rectangular distribution of half their
    difference to both sides (JCGM 100:2008, 4.3.7) is a part of the uncertainty. So is the mean of their own: a power
    that rests within one step of its sensor is off by the same both times.
    """
    if before is None or after is None:
        one = before or after
        return None if one is None else Baseline(power=one)
    mean_w = (before.value + after.value) / 2
    apart_w = abs(before.value - after.value)
    known = before.expanded is not None and after.expanded is not None
    somewhere = _COVERAGE * apart_w / 2 / math.sqrt(3)
    power = Uncertain(value=mean_w, expanded=in_quadrature(_own([before, after]) if known else None, somewhere))
    return Baseline(power=power, drifted=_drift(before, after))


def over_rounds(rounds: Sequence[Uncertain], unit: str, confidence: float = 0.95) -> Estimate:
    """Estimate a figure that every round measured, with an interval over the rounds that is never too narrow.

    It is at least as wide as the rounds' own uncertainty: what they share (the steps of a sensor) is not in how they
    scatter, and is not less for being measured again.
    """
    return _at_least(value_over_rounds([one.value for one in rounds], unit, confidence), _own(rounds))


def net_over_rounds(rounds: Sequence[Uncertain], unit: str = "J", confidence: float = 0.95) -> Estimate:
    """Estimate a difference from idle. One below its uncertainty for k = 2 says that it cannot be told from idle."""
    estimate = _at_least(mean_over_rounds([one.value for one in rounds], unit, confidence), _own(rounds))
    return estimate if is_distinguishable(rounds) else replace(estimate, reason=NOT_DISTINGUISHABLE)


def is_distinguishable(rounds: Sequence[Uncertain]) -> bool:
    """Return whether the mean of differences from idle is at least twice its standard uncertainty.

    That is the scatter of the rounds or their own uncertainty, whichever is more. Without either nothing is against it.
    """
    values = np.asarray([one.value for one in rounds], dtype=np.float64)
    if not values.size:
        return True
    scatter = series_interval(values, _confidence_of(_COVERAGE)).half_width if values.size >= MIN_ROUND_COUNT else 0.0
    return bool(np.mean(values) >= max(scatter, _own(rounds) or 0.0))


def expanded_of(estimate: Estimate, rounds: Sequence[Uncertain]) -> float | None:
    """Return the uncertainty (k = 2) that belongs to an estimate: its interval's, or without one the rounds' own."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return _own(rounds)
    return max(estimate.high - estimate.value, estimate.value - estimate.low)


def _own(rounds: Sequence[Uncertain]) -> float | None:
    known = [one.expanded for one in rounds if one.expanded is not None]
    return fmean(known) if known else None


def _at_least(estimate: Estimate, expanded: float | None) -> Estimate:
    if estimate.value is None or estimate.low is None or estimate.high is None or expanded is None:
        return estimate
    half = expanded * NormalDist().inv_cdf(0.5 + estimate.confidence / 2) / _COVERAGE
    return replace(
        estimate, low=min(estimate.low, estimate.value - half), high=max(estimate.high, estimate.value + half)
    )


def _drift(before: Uncertain, after: Uncertain) -> str:
    mean_w, apart_w = (before.value + after.value) / 2, abs(before.value - after.value)
    if apart_w <= max(MOST_DRIFT * abs(mean_w), in_quadrature(before.expanded, after.expanded) or 0.0):
        return ""
    return f"{before.value:.3g} W before the models and {after.value:.3g} W after them"


def _difference(one: Uncertain, other: Uncertain) -> Uncertain:
    return Uncertain(value=one.value - other.value, expanded=in_quadrature(one.expanded, other.expanded))


def _scaled(one: Uncertain, factor: float) -> Uncertain:
    return Uncertain(value=one.value * factor, expanded=None if one.expanded is None else one.expanded * factor)


def _confidence_of(coverage: float) -> float:
    return 2 * NormalDist().cdf(coverage) - 1
