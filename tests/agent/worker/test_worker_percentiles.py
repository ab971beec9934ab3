"""Percentiles of one launch, by the estimator that the controller uses over rounds."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard_agent.worker.percentiles import LEAST_FOR_P90, ninetieth_ns, percentile_ns


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_percentiles_are_numpys_median_unbiased_ones(size: int, share: float) -> None:
    values = np.sort(np.random.default_rng(size).integers(1, 10**9, size))
    expected = np.quantile(values, share, method="median_unbiased")
    assert percentile_ns(values, share) == pytest.approx(expected, abs=1)


def test_a_plain_list_has_the_same_percentiles_as_an_array() -> None:
    values = sorted(np.random.default_rng(3).integers(1, 10**9, 100).tolist())
    assert percentile_ns(values, 0.9) == percentile_ns(np.array(values), 0.9)


def test_a_ninetieth_percentile_of_few_samples_is_not_said() -> None:
    assert ninetieth_ns(range(LEAST_FOR_P90 - 1)) is None
    assert ninetieth_ns(range(LEAST_FOR_P90)) == 57
