"""Grids of few bits: nearest codes, exact zeros, packing; GPTQ beats rounding where inputs go together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.compress.weights.gptq import quantize_by_gptq
from steelyard.compress.weights.grid import (
    GridShape,
    reconstruction_error,
    round_to_nearest,
)
from steelyard.compress.weights.packing import pack_nbits, pack_nibbles
from steelyard.compress.weights.second_moment import SecondMoment
from tests.controller.compress.weight_models import drawn

_SHAPES = [
    GridShape(bits=bits, block_size=block_size, symmetric=symmetric)
    for bits in (4, 8)
    for block_size in (0, 16, 32)
    for symmetric in (True, False)
]


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 70), st.sampled_from(_SHAPES))
@settings(deadline=None, max_examples=60)
def test_no_value_is_further_than_half_a_step_from_its_code(
    seed: int, output_count: int, input_count: int, shape: GridShape
) -> None:
    matrix = drawn(output_count, input_count, seed=seed)
    made = round_to_nearest(matrix, shape)
    assert made.scales.shape == (output_count, shape.group_count(input_count))
    assert int(made.codes.max()) <= shape.most
    step = np.abs(np.repeat(made.scales, shape.width(input_count), axis=1)[:, :input_count])
    # The symmetric grid of 4 bits has no code for the value opposite to the largest: up to a step is lost there.
    allowed = 1.0 if shape.symmetric and shape.bits == 4 else 0.5
    assert (np.abs(made.dequantized() - matrix) <= step * allowed * 1.0001 + 1e-7).all()


@pytest.mark.parametrize("shape", _SHAPES)
def test_a_matrix_on_the_grid_comes_back_exactly(shape: GridShape) -> None:
    rng = np.random.default_rng(0)
    least = 1 if shape.symmetric and shape.bits == 8 else 0
    codes = rng.integers(least, shape.most + 1, (6, 64)).astype(np.float32)
    # Both ends of the grid are in every group.
    codes[:, ::16], codes[:, 1::16] = least, shape.most
    middle = shape.middle if shape.symmetric else 5
    matrix = (codes - middle) * np.float32(0.25)
    np.testing.assert_array_equal(round_to_nearest(matrix, shape).dequantized(), matrix)


def test_zeros_stay_zeros_and_a_group_of_zeros_has_a_scale() -> None:
    matrix = drawn(4, 64)
    matrix[:, :32] = 0
    matrix[0, 40] = 0
    for shape in _SHAPES:
        made = round_to_nearest(matrix, shape)
        assert (made.dequantized()[:, :32] == 0).all()
        assert made.dequantized()[0, 40] == 0
        assert (made.scales != 0).all()


def test_codes_are_packed_low_half_first_and_an_odd_end_is_filled() -> None:
    assert pack_nibbles(np.array([1, 2, 15])) == bytes([0x21, 0x0F])
    assert pack_nibbles(np.array([-1, -8], np.int8)) == bytes([0x8F])


def test_a_scale_a_channel_is_repeated_for_every_block_and_the_end_stands_for_zero() -> None:
    matrix = round_to_nearest(drawn(3, 150), GridShape(bits=4, block_size=0, symmetric=False))
    packed = pack_nbits(matrix)
    assert (packed.block_size, packed.packed.shape, packed.scales.shape) == (32, (3, 5, 16), (3, 5))
    assert (packed.scales == packed.scales[:, :1]).all()
    codes = np.stack([packed.packed & 15, packed.packed >> 4], axis=-1).reshape(3, 160)
    np.testing.assert_array_equal(codes[:, :150], matrix.codes)
    assert (codes[:, 150:] == matrix.zero_points).all()


@pytest.mark.parametrize(("input_count", "block_size"), [(5, 32), (33, 64), (128, 128), (150, 32), (1024, 256)])
def test_blocks_of_a_channel_are_those_that_take_the_fewest_bytes(input_count: int, block_size: int) -> None:
    matrix = round_to_nearest(drawn(2, input_count), GridShape(bits=8, block_size=0, symmetric=True))
    assert pack_nbits(matrix).block_size == block_size


def _correlated(input_count: int, row_count: int, seed: int = 0) -> np.ndarray:
    """Return rows of inputs that hang on an eighth as many hidden values, in the same way for every seed."""
    rng = np.random.default_rng(seed)
    mixing = drawn(input_count // 8, input_count, seed=77)
    rows = rng.standard_normal((row_count, input_count // 8)) @ mixing
    return rows + 0.1 * rng.standard_normal(rows.shape)


@pytest.mark.parametrize("act_order", [True, False])
@pytest.mark.parametrize(
    "shape",
    [
        GridShape(bits=4, block_size=32, symmetric=True),
        GridShape(bits=4, block_size=0, symmetric=False),
        GridShape(bits=8, block_size=0, symmetric=True),
    ],
)
def test_gptq_beats_rounding_by_far_where_inputs_go_together(act_order: bool, shape: GridShape) -> None:
    matrix = drawn(24, 160, seed=1)
    moment = SecondMoment.of(_correlated(160, 500))
    result = quantize_by_gptq(matrix, moment, shape, act_order=act_order)
    assert result.error < 0.4 * result.rounding_error
    made = result.quantized.dequantized()
    assert result.error == pytest.approx(reconstruction_error(matrix, made, moment.products))
    others = SecondMoment.of(_correlated(160, 500, seed=1)).products
    rounded = round_to_nearest(matrix, shape).dequantized()
    assert reconstruction_error(matrix, made, others) < 0.4 * reconstruction_error(matrix, rounded, others)


def test_few_rows_do_not_mislead_gptq_into_being_much_worse_than_rounding() -> None:
    shape = GridShape(bits=4, block_size=32, symmetric=True)
    matrix = drawn(32, 64, seed=1)
    rounded = round_to_nearest(matrix, shape).dequantized()
    for row_count in (8, 32, 64):
        rows = drawn(row_count, 64, seed=row_count)
        made = quantize_by_gptq(matrix, SecondMoment.of(rows), shape).quantized.dequantized()
        # The rows are independent: nothing can be gained on others. Without the shrinkage this was 1.8 to 2.7 times.
        assert reconstruction_error(matrix, made, np.eye(64)) < 1.5 * reconstruction_error(matrix, rounded, np.eye(64))


def test_gptq_rounds_where_inputs_are_independent() -> None:
    matrix = drawn(8, 48, seed=2)
    shape = GridShape(bits=4, block_size=16, symmetric=True)
    result = quantize_by_gptq(matrix, SecondMoment(np.eye(48) * 3.0, 1000), shape, act_order=False)
    np.testing.assert_array_equal(result.quantized.codes, round_to_nearest(matrix, shape).codes)


def test_gptq_is_the_greedy_solution_for_two_inputs_that_are_one() -> None:
    # Both inputs are always equal: the error of the first is made up by the second.
    matrix = np.array([[0.44, 0.44, 7.0]], np.float32)
    moment = SecondMoment(np.array([[1.0, 1.0, 0], [1.0, 1.0, 0], [0, 0, 1.0]]), 10**6)
    shape = GridShape(bits=4, block_size=0, symmetric=False)
    result = quantize_by_gptq(matrix, moment, shape, damping=1e-6, act_order=False)
    made = result.quantized.dequantized()
    assert abs(made[0, 0] + made[0, 1] - 0.88) <= 7.0 / 15 / 2 + 1e-6
    assert result.error <= result.rounding_error


def test_inputs_that_say_nothing_are_rounded_for() -> None:
    shape = GridShape(bits=4, block_size=32, symmetric=True)
    rows = _correlated(64, 300)
    rows[:, 10] = 0
    result = quantize_by_gptq(drawn(4, 64), SecondMoment.of(rows), shape)
    assert np.isfinite(result.quantized.dequantized()).all()
    assert result.error < result.rounding_error
    for products in (np.zeros((64, 64)), np.full((64, 64), np.inf), np.full((64, 64), np.nan)):
        nothing = quantize_by_gptq(drawn(4, 64), SecondMoment(products, 5), shape)
        np.testing.assert_array_equal(nothing.quantized.codes, round_to_nearest(drawn(4, 64), shape).codes)


def test_moments_add_up_over_batches_and_over_layers() -> None:
    rows = drawn(30, 8).astype(np.float64)
    whole = SecondMoment.of(rows)
    parts = SecondMoment.empty(8)
    for start in range(0, 30, 7):
        parts.add(rows[start : start + 7])
    np.testing.assert_allclose(parts.products, whole.products)
    assert (parts.row_count, (parts + whole).row_count) == (30, 60)
    np.testing.assert_allclose((parts + whole).products, 2 * whole.products)
    added = np.diag(whole.damped(0.01) - whole.products)
    np.testing.assert_allclose(added, (0.01 + 0.3 * 8 / 30) * np.diag(whole.products).mean())
