"""Spread over seeds, apart from measurements; differences by seed; many claims at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from steelyard.stats.seeds import SeedValue, holm, pair_seeds, summarize_seeds, variance_between


def values(numbers: list[float], variance: float | None = 0.0) -> list[SeedValue]:
    return [SeedValue(seed=seed, value=number, variance=variance) for seed, number in enumerate(numbers)]


def test_the_mean_has_the_t_interval_over_seeds() -> None:
    numbers = [0.91, 0.93, 0.92, 0.95, 0.94]
    found = summarize_seeds(values(numbers))
    low, high = stats.t.interval(0.95, 4, loc=np.mean(numbers), scale=stats.sem(numbers))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.training_sd == pytest.approx(np.std(numbers, ddof=1))
    assert found.reason == ""


def test_what_measurements_scatter_is_taken_off() -> None:
    found = summarize_seeds(values([1.0, 2.0, 3.0], variance=0.36))
    assert (found.total_sd, found.measurement_sd) == (pytest.approx(1.0), pytest.approx(0.6))
    assert found.training_sd == pytest.approx(0.8)
    quiet = summarize_seeds(values([1.0, 2.0, 3.0], variance=4.0))
    assert (quiet.training_sd, quiet.training_low) == (0.0, 0.0)
    assert quiet.training_high is not None
    assert quiet.training_high > 0.0


def test_what_cannot_be_told_has_its_reason() -> None:
    alone = summarize_seeds(values([0.9], variance=0.01))
    assert (alone.low, alone.training_sd, alone.measurement_sd) == (None, None, pytest.approx(0.1))
    assert "train with two or more" in alone.reason
    blind = summarize_seeds([*values([0.9, 0.8]), SeedValue(seed=9, value=0.7)])
    assert (blind.measurement_sd, blind.training_sd) == (None, None)
    assert blind.low is not None
    assert "not known for every seed" in blind.reason


def test_the_interval_of_the_trainings_spread_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(1000):
        drawn = rng.normal(0.0, 1.0, 5) + rng.normal(0.0, 0.7, 5)
        found = summarize_seeds(values(list(drawn), variance=0.49), confidence=0.9)
        assert found.training_low is not None
        assert found.training_high is not None
        held += found.training_low <= 1.0 <= found.training_high
    # 900 are expected, with a standard deviation of 9.5.
    assert 865 <= held <= 935


def test_differences_go_by_seed() -> None:
    first = values([0.5, 0.6, 0.7])
    second = [SeedValue(seed=2, value=0.8), SeedValue(seed=0, value=0.7), SeedValue(seed=5, value=0.1)]
    found = pair_seeds(first, second)
    assert found is not None
    assert (found.count, found.difference) == (2, pytest.approx(0.15))
    assert pair_seeds(first, [SeedValue(seed=9, value=1.0)]) is None


def test_five_seeds_that_agree_have_an_interval_above_zero_and_the_least_exact_p_value() -> None:
    first, second = values([1.0, 2.0, 3.0, 4.0, 5.0]), values([1.4, 2.5, 3.6, 4.5, 5.5])
    found = pair_seeds(first, second)
    assert found is not None
    assert found.low is not None
    assert found.low > 0.0
    assert found.p_value == found.least_p_value == 0.0625
    assert found.t_p_value == pytest.approx(stats.ttest_rel(range(5), [0.4, 1.5, 2.6, 3.5, 4.5]).pvalue)


def test_the_exact_p_value_is_that_of_all_changes_of_sign() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.0, 1.0, 8), rng.normal(0.4, 1.0, 8)
    oracle = stats.permutation_test((second - first,), np.mean, permutation_type="samples", n_resamples=np.inf)
    found = pair_seeds(values(list(first)), values(list(second)))
    assert found is not None
    assert found.p_value == pytest.approx(oracle.pvalue)


def test_equal_trainings_differ_by_nothing() -> None:
    found = pair_seeds(values([0.5, 0.6]), values([0.5, 0.6]))
    assert found is not None
    assert (found.difference, found.p_value, found.t_p_value) == (0.0, 1.0, 1.0)


def test_many_claims_are_adjusted_as_holm_does() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.9]) == [1.0, 1.0]


def test_false_claims_among_many_stay_as_rare_as_they_say() -> None:
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(400):
        p_values = []
        for _ in range(4):
            found = pair_seeds(values(list(rng.normal(size=8))), values(list(rng.normal(size=8))))
            assert found is not None
            p_values.append(found.p_value)
        wrong += min(holm(p_values)) < 0.05
    # At most 20 are expected, with a standard deviation of 4.4.
    assert wrong <= 34


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda: summarize_seeds([]), "there is no value"),
        (lambda: summarize_seeds([SeedValue(seed=1, value=1.0)] * 2), "seed 1 is there 2 times"),
        (lambda: SeedValue(seed=3, value=math.nan), "the value of seed 3 is nan"),
        (lambda: SeedValue(seed=3, value=1.0, variance=-1.0), "the variance of seed 3 is -1.0"),
        (lambda: holm([0.5, 1.5]), "1.5 is no p-value"),
    ],
    ids=["none", "twice", "nan", "negative", "beyond"],
)
def test_bad_input_is_named(broken: object, words: str) -> None:
    assert callable(broken)
    with pytest.raises(ValueError, match=words):
        broken()


def test_the_variance_between_models_is_that_of_their_own_noise_alone() -> None:
    generator = np.random.default_rng(0)
    own, round_count, found = 0.02, 12, []
    for _ in range(400):
        shared = generator.normal(0.0, 0.3, size=round_count)
        widths = generator.normal(0.0, 0.5, size=(5, 1))
        found.append(variance_between(np.exp(widths + shared + generator.normal(0.0, own, size=(5, round_count)))))
    assert np.mean(found) == pytest.approx(own**2 / round_count, rel=0.03)


@pytest.mark.parametrize("shape", [(1, 5), (3, 1), (2, 0)])
def test_too_little_tells_no_variance_between_models(shape: tuple[int, int]) -> None:
    assert variance_between(np.ones(shape)) is None


@pytest.mark.parametrize("time", [0.0, -1.0, float("nan")])
def test_a_time_that_is_none_has_no_variance(time: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        variance_between(np.array([[1.0, 2.0], [1.0, time]]))
