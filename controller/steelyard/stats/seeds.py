"""What trainings with several seeds allow to be said: how far seeds scatter, apart from how far measurements do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, stdtr

from steelyard.stats.student import MeanInterval, mean_interval

# All changes of sign of so many differences are counted one by one; of more, the t test stands in.
_MOST_EXACT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedValue:
    """What the training with one seed gave; ``variance`` is the square of its measurement's standard error."""

    seed: int
    value: float
    variance: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        if not math.isfinite(self.value):
            raise ValueError(f"the value of seed {self.seed} is {self.value}; leave that seed out")
        if self.variance is not None and not (math.isfinite(self.variance) and self.variance >= 0.0):
            raise ValueError(f"the variance of seed {self.seed} is {self.variance}; give None where it is unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSummary:
    """A mean over seeds, and its spread in two parts: standard deviations of one training and of one measurement.

    ``low`` and ``high`` are the t interval of the mean over seeds: of what trainings give in the mean, not of what one
    more gives. What cannot be told is None, and ``reason`` says why ("" where all is told).
    """

    count: int
    mean: float
    low: float | None
    high: float | None
    total_sd: float | None
    measurement_sd: float | None
    training_sd: float | None
    training_low: float | None
    training_high: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSeeds:
    """The second less the first over the seeds that both have.

    ``p_value`` is two-sided and exact: the share of all changes of sign of the differences whose mean is as far from 0.
    It is never below ``least_p_value`` (0.0625 with five seeds), whatever the differences; ``t_p_value`` is Student's.
    """

    count: int
    difference: float
    low: float | None
    high: float | None
    p_value: float
    least_p_value: float
    t_p_value: float | None


def summarize_seeds(values: Sequence[SeedValue], *, confidence: float = 0.95) -> SeedSummary:
    """Return the mean over seeds and what of its spread is the training's.

    The sample's variance estimates the sum of both variances. The measurement's is known from within each measurement
    and taken off; so it is from both ends of the chi-square interval of the sum, which keeps its coverage.

    Raises:
        ValueError: there is no value, or a seed is there twice.
    """
    _refuse_repeated(values)
    measured = _measurement_variance(values)
    measurement_sd = None if measured is None else math.sqrt(measured)
    if len(values) == 1:
        return SeedSummary(
            count=1,
            mean=values[0].value,
            low=None,
            high=None,
            total_sd=None,
            measurement_sd=measurement_sd,
            training_sd=None,
            training_low=None,
            training_high=None,
            reason="one seed shows no spread; train with two or more",
        )
    interval = mean_interval(_array(values), confidence)
    parts = (None, None, None) if measured is None else _training_part(interval, measured, confidence)
    return SeedSummary(
        count=interval.count,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        total_sd=interval.deviation,
        measurement_sd=measurement_sd,
        training_sd=parts[0],
        training_low=parts[1],
        training_high=parts[2],
        reason="" if measured is not None else "how far measurements scatter is not known for every seed",
    )


def pair_seeds(
    first: Sequence[SeedValue], second: Sequence[SeedValue], *, confidence: float = 0.95
) -> PairedSeeds | None:
    """Return the difference ``second - first`` by seed, or None where they have no seed in common.

    Both trainings of a seed draw the same samples in the same order, so that part of their luck is shared.

    Raises:
        ValueError: a seed is there twice.
    """
    for one in (first, second):
        _refuse_repeated(one)
    before = {one.seed: one.value for one in first}
    pairs = [(before[one.seed], one.value) for one in second if one.seed in before]
    if not pairs:
        return None
    differences = np.array([after - earlier for earlier, after in pairs])
    several = differences.size > 1
    interval = mean_interval(differences, confidence) if several else None
    t_p_value = _t_p_value(interval) if interval is not None else None
    exact = differences.size <= _MOST_EXACT
    return PairedSeeds(
        count=int(differences.size),
        difference=float(differences.mean()),
        low=interval.low if interval is not None else None,
        high=interval.high if interval is not None else None,
        p_value=_sign_flip_p_value(differences) if exact or t_p_value is None else t_p_value,
        least_p_value=2.0 ** (1 - int(differences.size)) if exact else 0.0,
        t_p_value=t_p_value,
    )


def variance_between(times: NDArray[np.float64]) -> float | None:
    """Return how far one model's mean over rounds scatters beside those of models measured in the same rounds.

    What slows all models of a round down moves their means alike, and so does what they are divided by: neither is part
    of how far they lie apart. It is the interaction's mean square of a two-way layout without replication (models and
    rounds, logarithms; Fisher, Statistical Methods for Research Workers, 1925), over the rounds.

    Args:
        times: float64 [models, rounds], above 0, in any unit.

    Returns:
        A variance of logarithms, as a share squared; None below two models or two rounds.

    Raises:
        ValueError: a time is not a number above 0.
    """
    model_count, round_count = times.shape
    if model_count < 2 or round_count < 2:
        return None
    if not np.all(np.isfinite(times) & (times > 0.0)):
        raise ValueError("times are finite numbers above 0")
    logs = np.log(times)
    rest = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0, keepdims=True) + logs.mean()
    return float((rest**2).sum() / ((model_count - 1) * (round_count - 1)) / round_count)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for all being looked at together, in their order.

    Below a level, they are claims of which with that probability at most one or more is false (Holm, Scandinavian
    Journal of Statistics 6 (1979), 65-70).

    Raises:
        ValueError: one is not between 0 and 1.
    """
    for one in p_values:
        if not 0.0 <= one <= 1.0:
            raise ValueError(f"{one} is no p-value: it is not between 0 and 1")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = highest
    return adjusted


def _array(values: Sequence[SeedValue]) -> NDArray[np.float64]:
    return np.array([one.value for one in values], dtype=np.float64)


def _refuse_repeated(values: Sequence[SeedValue]) -> None:
    seeds = [one.seed for one in values]
    if not seeds:
        raise ValueError("there is no value; train with one seed at least")
    for seed in set(seeds):
        if seeds.count(seed) > 1:
            raise ValueError(f"seed {seed} is there {seeds.count(seed)} times; give one value a seed")


def _measurement_variance(values: Sequence[SeedValue]) -> float | None:
    variances = [one.variance for one in values if one.variance is not None]
    return math.fsum(variances) / len(variances) if len(variances) == len(values) else None


def _training_part(interval: MeanInterval, measured: float, confidence: float) -> tuple[float, float, float]:
    """Return the training's standard deviation with its interval; 0 where seeds differ no more than measurements do."""
    degrees = interval.count - 1
    squares = degrees * interval.deviation**2
    tail = (1.0 - confidence) / 2.0
    # chdtri takes the probability above the point.
    sums = (interval.deviation**2, squares / float(chdtri(degrees, tail)), squares / float(chdtri(degrees, 1.0 - tail)))
    middle, low, high = (math.sqrt(max(0.0, total - measured)) for total in sums)
    return middle, low, high


def _t_p_value(interval: MeanInterval) -> float:
    if interval.standard_error == 0.0:
        return 1.0 if interval.mean == 0.0 else 0.0
    return float(2.0 * stdtr(interval.count - 1, -abs(interval.mean) / interval.standard_error))


def _sign_flip_p_value(differences: NDArray[np.float64]) -> float:
    """Fisher's test of paired differences (The Design of Experiments, 1935, section 21)."""
    count = differences.size
    signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
    sums = np.abs(signs @ differences)
    # Sums of the same numbers in another order differ in their last bits.
    reached = sums >= abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    return float(np.mean(reached))
