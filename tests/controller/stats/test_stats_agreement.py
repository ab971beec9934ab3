"""Agreement of outputs: planted noise of known size, planted faults, and what rounding explains."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.stats.agreement import Rounding, argmax_agreement, compare_arrays, odd_count


def planted(shape: tuple[int, ...] = (8, 10), *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_equal_arrays_have_no_noise_and_agree() -> None:
    found = compare_arrays(planted(), planted(), Rounding.FLOAT32)
    assert (found.max_absolute_error, found.sqnr_db, found.beyond) == (0.0, None, 0.0)
    assert found.cosine == pytest.approx(1.0)
    assert found.explained


@pytest.mark.parametrize("sqnr_db", [20.0, 40.0, 60.0])
def test_planted_noise_is_found_with_its_ratio(sqnr_db: float) -> None:
    reference = planted((64, 100)).astype(np.float64)
    noise = np.random.default_rng(1).standard_normal(reference.shape)
    noise *= np.sqrt((reference**2).sum() / (noise**2).sum()) * 10 ** (-sqnr_db / 20)
    found = compare_arrays(reference, reference + noise, Rounding.FLOAT32)
    assert found.sqnr_db == pytest.approx(sqnr_db, abs=1e-6)
    # Noise that is not in step with the signal turns it by this much.
    assert found.cosine == pytest.approx(1 / np.sqrt(1 + 10 ** (-sqnr_db / 10)), abs=2e-3)
    assert found.max_absolute_error == pytest.approx(np.abs(noise).max())


@pytest.mark.parametrize(
    ("rounding", "share", "explained"),
    [
        (Rounding.FLOAT32, 3.5e-7, True),  # seen between AVX-512 and Arm kernels
        (Rounding.FLOAT32, 1e-3, False),
        (Rounding.HALF, 3.9e-3, True),  # seen with bfloat16
        (Rounding.HALF, 3e-2, False),
        (Rounding.QUANTIZED, 1e-4, True),  # seen with dynamic ranges
        (Rounding.QUANTIZED, 5e-2, False),
    ],
)
def test_an_error_is_explained_up_to_a_share_of_the_range(rounding: Rounding, share: float, explained: bool) -> None:
    reference = planted().astype(np.float64)
    other = reference.copy()
    other[3, 4] += share * (reference.max() - reference.min())
    found = compare_arrays(reference, other, rounding)
    assert found.range_share == pytest.approx(share)
    assert found.explained is explained


@pytest.mark.parametrize(("steps", "explained"), [(1, True), (2, False)])
def test_a_quantized_output_may_be_one_step_off(steps: int, explained: bool) -> None:
    reference = np.arange(-50, 50, dtype=np.int8).reshape(10, 10)
    other = reference.copy()
    other[0, 0] += steps
    assert compare_arrays(reference, other, Rounding.QUANTIZED).explained is explained


def test_a_difference_of_two_bytes_does_not_wrap_around() -> None:
    reference = np.array([[-128, 0]], dtype=np.int8)
    other = np.array([[127, 0]], dtype=np.int8)
    assert compare_arrays(reference, other, Rounding.QUANTIZED).max_absolute_error == 255.0


def test_a_class_or_a_truth_is_right_or_wrong() -> None:
    classes = np.array([3, 1, 2])
    assert compare_arrays(classes, classes.copy(), Rounding.QUANTIZED).explained
    assert not compare_arrays(classes, np.array([3, 1, 4]), Rounding.QUANTIZED).explained
    assert not compare_arrays(np.array([True]), np.array([False]), Rounding.FLOAT32).explained


def test_zeros_have_neither_cosine_nor_range() -> None:
    zeros = np.zeros((2, 3), np.float32)
    silent = compare_arrays(zeros, zeros, Rounding.FLOAT32)
    assert (silent.cosine, silent.sqnr_db, silent.range_share, silent.explained) == (None, None, None, True)
    assert not compare_arrays(zeros, zeros + 1, Rounding.FLOAT32).explained


def test_values_that_are_all_alike_are_compared_with_their_size() -> None:
    alike = np.full((2, 3), 4.0, np.float32)
    assert compare_arrays(alike, alike + np.float32(4e-6), Rounding.FLOAT32).explained
    assert not compare_arrays(alike, alike + np.float32(0.1), Rounding.FLOAT32).explained


def test_large_values_stay_in_range() -> None:
    large = planted().astype(np.float64) * 1e200
    found = compare_arrays(large, large * (1 + 1e-3), Rounding.FLOAT32)
    assert found.sqnr_db == pytest.approx(60.0, abs=1e-6)
    assert found.cosine == pytest.approx(1.0)


@pytest.mark.parametrize(
    "other", [np.zeros((2, 2), np.float32), np.zeros((2, 3), np.float64), np.zeros((0, 3), np.float32)]
)
def test_what_cannot_be_compared_is_refused(other: np.ndarray) -> None:
    reference = np.zeros((2, 3), np.float32) if other.size else other
    with pytest.raises(ValueError, match="cannot be compared"):
        compare_arrays(reference, other, Rounding.FLOAT32)


def test_nan_and_infinity_are_counted_in_floats_only() -> None:
    assert odd_count(np.array([0.0, np.nan, -np.inf], np.float32)) == 2
    assert odd_count(np.array([1, 2])) == 0


def test_the_greatest_value_is_compared_sample_by_sample() -> None:
    reference = np.eye(4, dtype=np.float32)
    other = reference.copy()
    other[1] = [9, 0, 0, 0]
    assert argmax_agreement(reference, other) == (3, 4)
    # A sample may have any shape.
    assert argmax_agreement(reference.reshape(4, 2, 2), other.reshape(4, 2, 2)) == (3, 4)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_where_a_sample_is_one_value_there_is_no_greatest(shape: tuple[int, ...]) -> None:
    assert argmax_agreement(np.zeros(shape), np.zeros(shape)) is None
