"""The schemes that the choice of spending compares spend what they are given, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.spending_choice import MOST_ROUNDS, SHORT_ROUNDS, Scheme, row, schemes


@pytest.mark.parametrize("scheme", schemes(), ids=lambda one: one.name)
@pytest.mark.parametrize("most", [SHORT_ROUNDS, MOST_ROUNDS])
def test_no_scheme_spends_more_than_it_has(scheme: Scheme, most: int) -> None:
    shares = [share for _, share in scheme.plan(most)]
    assert all(share >= 0.0 for share in shares)
    spends_all = scheme.looks_at_the_end or most == MOST_ROUNDS
    assert sum(shares) == pytest.approx(1.0) if spends_all else sum(shares) < 1.0


def test_a_row_is_of_a_model_with_itself_and_of_planted_slowdowns() -> None:
    logs = np.random.default_rng(1).normal(0.0, 0.005, (500, MOST_ROUNDS))
    name, same, found, _, _, false = row(schemes()[3], logs)
    assert name == "ours"
    assert (same, found, false) == ("100.0%", "100.0%", "0.00%")
