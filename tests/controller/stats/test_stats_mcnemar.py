import numpy as np
import pytest
from scipy.stats import binom, binomtest

from steelyard.stats.mcnemar import mcnemar


def answers(lost, gained, both=100):
    """Answers of a reference and of a candidate: so many only the one, or only the other, has right."""
    reference = np.array([True] * lost + [False] * gained + [True] * both)
    candidate = np.array([False] * lost + [True] * gained + [True] * both)
    return reference, candidate


@pytest.mark.parametrize(("lost", "gained"), [(9, 1), (5, 5), (0, 7), (24, 0), (11, 13)])
def test_few_discordant_samples_get_the_exact_binomial_test(lost, gained):
    result = mcnemar(*answers(lost, gained))
    assert result.p_value == pytest.approx(binomtest(lost, lost + gained).pvalue)
    assert result.method == "exact"


@pytest.mark.parametrize(("lost", "gained"), [(25, 10), (10, 25), (60, 40)])
def test_many_get_the_mid_p_test(lost, gained):
    result = mcnemar(*answers(lost, gained))
    count, fewer = lost + gained, min(lost, gained)
    assert result.p_value == pytest.approx(2 * binom.cdf(fewer, count, 0.5) - binom.pmf(fewer, count, 0.5))
    assert result.method == "mid-p"
    assert result.p_value < binomtest(lost, count).pvalue


def test_as_many_lost_as_gained_says_nothing():
    assert mcnemar(*answers(30, 30)).p_value == 1.0
    assert mcnemar(*answers(0, 0)).p_value == 1.0
    assert mcnemar(*answers(4, 4)).p_value == 1.0


def test_it_says_which_test_it_is_and_what_was_counted():
    assert mcnemar(*answers(9, 1)).sentence == "McNemar p = 0.021 (exact): 9 answers lost, 1 gained"
    assert mcnemar(*answers(1, 0)).sentence == "McNemar p = 1 (exact): 1 answer lost, 0 gained"


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_models_that_are_as_good_stay_silent(share):
    random = np.random.default_rng(1)
    p_values = []
    for _ in range(3000):
        # Each sample goes either way with the same chance.
        turn = random.random(500)
        lost, gained = int(np.sum(turn < share / 2)), int(np.sum(turn > 1 - share / 2))
        p_values.append(mcnemar(*answers(lost, gained)).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06


def test_a_planted_loss_of_3_points_is_found_in_two_thousand_samples():
    random = np.random.default_rng(2)
    found = [mcnemar(*answers(int(random.binomial(2000, 0.04)), int(random.binomial(2000, 0.01)))) for _ in range(200)]
    assert np.mean([one.p_value < 0.01 for one in found]) >= 0.98


def test_samples_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError, match="do not pair up"):
        mcnemar(np.array([True]), np.array([True, False]))
