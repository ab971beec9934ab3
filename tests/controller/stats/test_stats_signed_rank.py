import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from steelyard.stats.signed_rank import signed_rank_p


def brute_force_p(differences):
    from itertools import product

    from scipy.stats import rankdata

    ranks = rankdata(np.abs(differences))
    observed = ranks[np.array(differences) > 0].sum()
    sums = np.array([ranks[np.array(signs)].sum() for signs in product([False, True], repeat=len(ranks))])
    return min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))


@pytest.mark.parametrize("count", [4, 11, 40])
def test_without_ties_it_is_the_exact_test_of_scipy(count):
    differences = np.random.default_rng(count).normal(0.3, 1.0, count)
    expected = wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4).filter(bool), min_size=1, max_size=8))
def test_with_ties_it_counts_every_assignment_of_signs(values):
    assert signed_rank_p(np.array(values, dtype=np.float64)) == pytest.approx(brute_force_p(values))


def test_zeros_are_left_out_and_nothing_but_zeros_is_no_evidence():
    assert signed_rank_p(np.zeros(6)) == 1.0
    assert signed_rank_p(np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx(signed_rank_p(np.array([1.0, 2.0, 3.0])))
