import numpy as np
import pytest
from scipy.stats import wilcoxon

from steelyard.stats.signed_rank import signed_rank


@pytest.mark.parametrize("count", [3, 6, 12, 25, 40])
def test_without_ties_it_is_the_exact_test_of_scipy(count):
    differences = np.random.default_rng(count).normal(0.3, 1.0, count)
    assert signed_rank(differences).p_value == pytest.approx(wilcoxon(differences, method="exact").pvalue)


def test_beyond_two_hundred_pairs_it_is_the_corrected_normal_approximation():
    differences = np.random.default_rng(1).normal(0.1, 1.0, 300)
    wanted = wilcoxon(differences, method="asymptotic", correction=True).pvalue
    assert signed_rank(differences).p_value == pytest.approx(wanted, rel=1e-6)


def test_ties_share_ranks_and_zeros_say_nothing():
    # Four times +1, one -1: of 32 signings the sum of negatives is at most one rank of five in 6, twice.
    assert signed_rank(np.array([1.0, 1.0, 1.0, 1.0, -1.0, 0.0])).p_value == pytest.approx(2 * 6 / 32)
    assert signed_rank(np.zeros(4)).p_value == 1.0


def test_the_centre_is_hardly_moved_by_a_wild_pair():
    differences = np.array([0.05, 0.04, 0.06, 0.05, -5.0, 0.045, 0.055])
    assert signed_rank(differences).centre == pytest.approx(0.05, abs=0.01)


def test_three_pairs_can_never_be_significant_and_it_says_so():
    result = signed_rank(np.array([1.0, 2.0, 3.0]))
    assert result.p_value == result.least_p_value == 0.25


def test_pairs_of_one_truth_are_rejected_as_often_as_promised():
    random = np.random.default_rng(2)
    p_values = [signed_rank(random.standard_t(3, 12)).p_value for _ in range(4000)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06
    assert np.mean(np.array(p_values) <= 0.05) >= 0.035


@pytest.mark.parametrize("differences", [[], [float("nan")], [1.0, float("inf")]])
def test_what_is_no_difference_is_refused(differences):
    with pytest.raises(ValueError):
        signed_rank(np.array(differences, dtype=float))
