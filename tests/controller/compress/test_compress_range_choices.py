"""Ranges are chosen as the methods say, on distributions whose best range is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.compress.calibrators.entropy import entropy_range
from steelyard.compress.calibrators.histogram import Histogram
from steelyard.compress.calibrators.percentile import percentile_range
from steelyard.compress.calibrators.range_settings import METHODS, RangeSettings, choose_range, is_usable, usable_range
from steelyard.compress.calibrators.squared_error import squared_error_range


def _histogram(values: np.ndarray, parts: int = 1) -> Histogram:
    found = Histogram.empty(float(values.min()), float(values.max()))
    for part in np.array_split(values, parts):
        found = found.with_values(part)
    return found


def _normal(count: int = 200_000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def _with_outlier(values: np.ndarray, outlier: float) -> np.ndarray:
    return np.append(values, np.float32(outlier))


def _error(values: np.ndarray, low: float, high: float, levels: int = 256) -> float:
    """Return the mean squared error of really quantizing: independent of the histogram."""
    step = (high - low) / (levels - 1)
    quantized = np.clip(np.round((values - low) / step), 0, levels - 1) * step + low
    return float(np.square(quantized - values, dtype=np.float64).mean())


def test_counting_in_parts_is_counting_at_once() -> None:
    values = _normal(10_000)
    once, parts = _histogram(values), _histogram(values, parts=7)
    np.testing.assert_array_equal(once.counts, parts.counts)
    assert once.counts.sum() == 10_000
    assert (once.low, once.high) == (-once.high, max(abs(once.smallest), once.largest))


def test_counts_are_those_of_numpy() -> None:
    values = _normal(5_000)
    found = _histogram(values)
    expected, _ = np.histogram(values.astype(np.float64), bins=found.edges)
    assert np.abs(found.counts - expected).sum() <= 2


def test_exact_zeros_are_counted_apart() -> None:
    found = _histogram(np.maximum(_normal(1_000), 0))
    assert found.zero_count == int((_normal(1_000) <= 0).sum())
    assert found.counts.sum() + found.zero_count == 1_000
    assert found.low == 0.0


def test_magnitudes_fold_both_signs() -> None:
    found = _histogram(np.array([-4.0, -1.0, 1.0, 4.0], np.float32))
    assert found.magnitudes().sum() == 4
    assert found.magnitudes()[-1] == 2


def test_a_percentile_cuts_its_share_half_on_each_side() -> None:
    low, high = percentile_range(_histogram(np.linspace(-1, 1, 100_001).astype(np.float32)), 90.0)
    assert (low, high) == (pytest.approx(-0.9, abs=2e-3), pytest.approx(0.9, abs=2e-3))


def test_the_hundredth_percentile_is_all_that_was_seen() -> None:
    values = _normal(1_000)
    assert percentile_range(_histogram(values), 100.0) == (
        pytest.approx(values.min(), abs=1e-2),
        pytest.approx(values.max(), abs=1e-6),
    )


def test_zeros_count_for_percentiles() -> None:
    values = np.concatenate([np.zeros(99_000), np.linspace(0.001, 1.0, 1_000)]).astype(np.float32)
    _, high = percentile_range(_histogram(values), 99.0)
    assert high == pytest.approx(0.5, abs=5e-3)


@pytest.mark.parametrize("levels", [64, 128])
def test_entropy_cuts_a_lone_outlier_and_keeps_what_is_dense(levels: int) -> None:
    low, high = entropy_range(_histogram(_with_outlier(_normal(), 40.0)), levels=levels)
    assert 2.5 < high < 8.0
    assert -5.5 < low < -2.5
    uniform = np.random.default_rng(1).uniform(0, 1, 200_000).astype(np.float32)
    assert entropy_range(_histogram(uniform), levels=levels)[1] > 0.98


def test_squared_error_finds_the_clipping_that_really_loses_least() -> None:
    # One value in two millions: cutting it off costs less than the steps that it would make coarse.
    for values in (_with_outlier(_normal(2_000_000), 30.0), np.abs(_with_outlier(_normal(2_000_000), 30.0))):
        low, high = squared_error_range(_histogram(values), levels=256, symmetric=False)
        found = _error(values, low, high)
        assert found < 0.6 * _error(values, min(float(values.min()), 0.0), float(values.max()))
        shares = np.arange(1, 17) / 16
        best = min(_error(values, min(float(values.min()), 0.0), 30.0 * share) for share in shares)
        assert found <= 1.1 * best


def test_squared_error_around_zero_uses_one_end_for_both_sides() -> None:
    values = np.concatenate([_normal(20_000), _normal(20_000, seed=2) * 0.1 - 0.5])
    low, high = squared_error_range(_histogram(values), levels=255, symmetric=True)
    ends = np.linspace(0.1, 6.0, 200)
    best = min(_error(values, -end, end, levels=255) for end in ends)
    assert _error(values, -max(-low, high), max(-low, high), levels=255) <= 1.1 * best


def test_squared_error_keeps_the_whole_of_what_is_even() -> None:
    uniform = np.random.default_rng(1).uniform(-1, 3, 100_000).astype(np.float32)
    low, high = squared_error_range(_histogram(uniform), levels=256, symmetric=False)
    assert (low, high) == (pytest.approx(-1, abs=0.03), pytest.approx(3, abs=0.05))


@given(
    smallest=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    method=st.sampled_from(METHODS),
    symmetric=st.booleans(),
    seed=st.integers(0, 5),
)
def test_no_method_leaves_what_was_seen_or_an_empty_range(
    smallest: float, width: float, method: str, symmetric: bool, seed: int
) -> None:
    values = (smallest + width * np.random.default_rng(seed).random(50)).astype(np.float32)
    found = _histogram(values)
    low, high = usable_range(*choose_range(found, RangeSettings(method=method, symmetric=symmetric)))
    slack = 1e-6 * max(1.0, found.high)
    assert min(found.smallest, 0.0) - slack <= low <= 0.0 <= high <= max(found.largest, 0.0) + slack
    assert high > low


@pytest.mark.parametrize(
    ("seen", "used"),
    [((0.0, 0.0), (0.0, 1.0)), ((1e-40, 1e-39), (0.0, 1.0)), ((5.0, 5.0), (0.0, 5.0)), ((-3.0, -2.0), (-3.0, 0.0))],
)
def test_a_range_holds_zero_and_is_never_empty(seen: tuple[float, float], used: tuple[float, float]) -> None:
    assert usable_range(*seen) == used


@pytest.mark.parametrize("ends", [(float("nan"), 1.0), (0.0, float("inf")), (-3.4e38, 0.0)])
def test_masks_and_what_is_no_number_have_no_range(ends: tuple[float, float]) -> None:
    assert not is_usable(*ends)
    assert is_usable(-1e9, 1.0)
