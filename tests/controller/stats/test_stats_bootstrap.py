"""Bootstrap intervals hold planted truths as often as they say, drops are paired, and nothing is called certain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats

from steelyard.stats.accuracy import wilson
from steelyard.stats.bootstrap import (
    DEFAULT_RESAMPLE_COUNT,
    LEAST_SAMPLE_COUNT,
    bootstrap_interval,
    interval_of,
    paired_bootstrap_drop,
    resample,
)

SIMULATIONS, RESAMPLES = 250, 500


@dataclass(frozen=True)
class Ratio:
    """The ratio of two sums: the mean, with ones below."""

    above: np.ndarray
    below: np.ndarray

    @property
    def sample_count(self) -> int:
        return self.above.size

    def value(self, counts: np.ndarray | None = None) -> float | None:
        weights = np.ones(self.above.size) if counts is None else counts
        below = float(weights @ self.below)
        return float(weights @ self.above) / below if below else None


@dataclass(frozen=True)
class Auc:
    """How often a positive sample has the higher score."""

    wins: np.ndarray  # [positives, negatives]
    is_positive: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, is_positive: np.ndarray) -> Auc:
        return cls(wins=scores[is_positive][:, None] > scores[~is_positive], is_positive=is_positive)

    @property
    def sample_count(self) -> int:
        return self.is_positive.size

    def value(self, counts: np.ndarray | None = None) -> float | None:
        weights = np.ones(self.sample_count, dtype=np.int64) if counts is None else counts
        positive, negative = weights[self.is_positive], weights[~self.is_positive]
        pairs = int(positive.sum()) * int(negative.sum())
        return float(positive @ self.wins @ negative) / pairs if pairs else None


def mean(values: np.ndarray) -> Ratio:
    return Ratio(above=values, below=np.ones(values.size))


def _skewed_mean(rng: np.random.Generator) -> tuple[Ratio, float]:
    return mean(rng.gamma(4.0, 1.0, 80)), 4.0


def _auc(rng: np.random.Generator) -> tuple[Auc, float]:
    is_positive = np.arange(100) < 50
    scores = rng.standard_normal(100) + 1.5 * is_positive
    # Of two normal distributions: Phi(1.5 / sqrt(2)).
    return Auc.of(scores, is_positive), float(scipy.stats.norm.cdf(1.5 / np.sqrt(2.0)))


def _ratio_of_sums(rng: np.random.Generator) -> tuple[Ratio, float]:
    below = rng.integers(1, 30, 120).astype(float)
    return Ratio(above=rng.binomial(below.astype(int), 0.1).astype(float), below=below), 0.1


@pytest.mark.parametrize("plant", [_skewed_mean, _auc, _ratio_of_sums])
def test_95_percent_intervals_hold_the_truth_in_92_to_98_percent(
    plant: Callable[[np.random.Generator], tuple[Ratio | Auc, float]],
) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(SIMULATIONS):
        answers, truth = plant(rng)
        found = bootstrap_interval(answers, unit="", resample_count=RESAMPLES)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / SIMULATIONS <= 0.98


def test_few_samples_are_not_taken_for_many() -> None:
    rng = np.random.default_rng(12)
    truths = [(bootstrap_interval(mean(rng.standard_normal(12)), unit="", resample_count=300)) for _ in range(400)]
    # Of these with z in place of Student's t: 91.25 %.
    assert np.mean([one.low <= 0.0 <= one.high for one in truths]) >= 0.93


def test_95_percent_intervals_of_a_drop_hold_the_truth_in_92_to_98_percent() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(SIMULATIONS):
        shared = rng.gamma(2.0, 1.0, 80)
        reference, candidate = mean(shared), mean(shared + 0.3 + 0.2 * rng.standard_normal(80))
        found = paired_bootstrap_drop(reference, candidate, higher_is_better=False, unit="", resample_count=RESAMPLES)
        held += found.low <= 0.3 <= found.high
    assert 0.92 <= held / SIMULATIONS <= 0.98


@pytest.mark.parametrize("count", [60, 700])
def test_the_ends_are_those_of_another_bca_bootstrap(count: int) -> None:
    values = np.random.default_rng(3).lognormal(0.0, 1.0, count)
    found = bootstrap_interval(mean(values), unit="", resample_count=6000)
    oracle = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=6000, method="BCa", rng=np.random.default_rng(4)
    ).confidence_interval
    width = oracle.high - oracle.low
    assert abs(found.low - oracle.low) < 0.06 * width
    assert abs(found.high - oracle.high) < 0.06 * width
    # Skewed to the right: the upper end is farther away.
    assert found.high - found.value > 1.1 * (found.value - found.low)


def test_pairing_makes_the_interval_of_a_drop_narrower_than_the_noise_that_both_share() -> None:
    rng = np.random.default_rng(5)
    shared = rng.standard_normal(200)
    reference, candidate = mean(shared), mean(shared - 0.1 + 0.05 * rng.standard_normal(200))
    drop = paired_bootstrap_drop(reference, candidate, higher_is_better=True, unit="dB")
    alone = bootstrap_interval(candidate, unit="dB")
    assert drop.unit == "dB"
    assert drop.low < 0.1 < drop.high
    assert drop.high - drop.low < 0.1 * (alone.high - alone.low)


@pytest.mark.parametrize("unit", ["fraction", "dB", ""])
def test_the_same_answers_lose_exactly_nothing(unit: str) -> None:
    answers = mean(np.random.default_rng(6).random(50))
    drop = paired_bootstrap_drop(answers, mean(answers.above.copy()), higher_is_better=True, unit=unit)
    assert (drop.value, drop.low, drop.high) == (0.0, 0.0, 0.0)


def test_a_drop_is_above_0_where_the_candidate_is_worse_whichever_way_is_better() -> None:
    rng = np.random.default_rng(7)
    low, high = mean(rng.random(80)), mean(rng.random(80) + 1.0)
    assert paired_bootstrap_drop(high, low, higher_is_better=True, unit="").low > 0.0
    assert paired_bootstrap_drop(low, high, higher_is_better=False, unit="").low > 0.0
    assert paired_bootstrap_drop(low, high, higher_is_better=True, unit="").high < 0.0


def test_the_drop_of_a_fraction_is_in_percentage_points() -> None:
    rng = np.random.default_rng(8)
    values = rng.random(60)
    drop = paired_bootstrap_drop(mean(values), mean(values - 0.02), higher_is_better=True, unit="fraction")
    assert drop.unit == "pp"
    assert drop.value == pytest.approx(2.0)


def test_the_same_seed_draws_the_same_samples_for_good() -> None:
    answers = mean(np.arange(20.0) ** 2)
    one, other = resample(answers, resample_count=50), resample(answers, resample_count=50)
    assert one.replicates.tolist() == other.replicates.tolist()
    assert one.replicates.tolist() != resample(answers, resample_count=50, seed=1).replicates.tolist()
    # What a bundle claims is computed again years later: other draws would be other figures.
    assert one.replicates[:3].tolist() == DRAWN


def test_a_wider_confidence_has_a_wider_interval() -> None:
    resampled = resample(mean(np.random.default_rng(9).random(100)))
    narrow, wide = (interval_of(resampled, unit="", confidence=one) for one in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert resampled.replicates.size == DEFAULT_RESAMPLE_COUNT


@pytest.mark.parametrize(("value", "right"), [(1.0, 50), (0.0, 0)])
def test_a_perfect_score_is_as_sure_as_that_many_right_answers_and_no_surer(value: float, right: int) -> None:
    found = bootstrap_interval(mean(np.full(50, value)), unit="fraction")
    assert found == wilson(right, 50)
    assert found.high > found.low


def test_too_few_samples_have_no_interval_and_say_how_many_are_needed() -> None:
    found = bootstrap_interval(mean(np.arange(LEAST_SAMPLE_COUNT - 1.0)), unit="dB")
    assert found.value == pytest.approx(4.0)
    assert not found.has_interval
    assert f"evaluate {LEAST_SAMPLE_COUNT} or more" in found.reason


def test_a_score_without_a_value_is_unknown_and_so_is_its_drop() -> None:
    nothing, something = Ratio(above=np.ones(20), below=np.zeros(20)), mean(np.ones(20))
    assert bootstrap_interval(nothing, unit="").value is None
    drop = paired_bootstrap_drop(something, nothing, higher_is_better=True, unit="fraction")
    assert (drop.value, drop.unit) == (None, "pp")
    assert bootstrap_interval(mean(np.empty(0)), unit="").reason == "no sample was evaluated"


def test_a_class_that_resamples_often_lack_leaves_no_interval() -> None:
    is_positive = np.arange(40) < 2
    rare = Auc.of(np.random.default_rng(10).random(40), is_positive)
    found = bootstrap_interval(rare, unit="fraction", resample_count=400)
    assert found.value is not None
    assert not found.has_interval
    assert "one class is rare" in found.reason


def test_scores_of_other_samples_are_not_paired() -> None:
    with pytest.raises(ValueError, match="20 and 30 samples"):
        paired_bootstrap_drop(mean(np.ones(20)), mean(np.ones(30)), higher_is_better=True, unit="")


# The first three means that seed 0 draws of 0, 1, 4, … 361.
DRAWN = [137.05, 143.35, 98.4]
