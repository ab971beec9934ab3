"""Grids of few bits for weight matrices: scales and zero points of groups, and rounding to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridShape:
    """How a matrix [outputs, inputs] is quantized: ``block_size`` inputs of an output share a scale; 0: all of them."""

    bits: int
    block_size: int
    symmetric: bool

    @property
    def most(self) -> int:
        """The largest code; codes begin at 0."""
        return int(2**self.bits - 1)

    @property
    def middle(self) -> int:
        """The code that stands for zero in a symmetric grid."""
        return int(2 ** (self.bits - 1))

    def width(self, input_count: int) -> int:
        """Return how many inputs share a scale."""
        return min(self.block_size, input_count) if self.block_size else input_count

    def group_count(self, input_count: int) -> int:
        """Return the number of groups of one output."""
        return -(-input_count // self.width(input_count))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedMatrix:
    """A matrix [outputs, inputs] in few bits: value = (code - zero point) * scale of its group.

    ``codes`` uint8 [outputs, inputs]; ``scales`` float32 and ``zero_points`` uint8 [outputs, groups].
    """

    shape: GridShape
    codes: NDArray[np.uint8]
    scales: Matrix
    zero_points: NDArray[np.uint8]

    def dequantized(self) -> Matrix:
        """Return the values that it stands for, float32 [outputs, inputs]."""
        return dequantize(
            self.codes, self._spread(self.scales), self._spread(self.zero_points.astype(np.float32))
        ).astype(np.float32)

    def _spread(self, by_group: Matrix) -> Matrix:
        input_count = self.codes.shape[1]
        return np.repeat(by_group, self.shape.width(input_count), axis=1)[:, :input_count]


def group_grid(group: Matrix, shape: GridShape) -> tuple[Matrix, Matrix]:
    """Return scales and zero points, float32 [outputs], for one group [outputs, inputs] of a matrix.

    Symmetric grids of 4 bits put the value of largest magnitude, with its sign, on code 0: all 16 codes are used, and a
    scale may be negative (as ggml's Q4_0 and onnxruntime's block quantizer do). In 8 bits one code in 256 is not worth
    a negative scale: -127 to 127. Asymmetric grids reach from the least to the greatest value, and hold zero exactly.
    """
    if not shape.symmetric:
        low, high = np.minimum(group.min(axis=1), 0), np.maximum(group.max(axis=1), 0)
        scale = _never_zero((high - low) / np.float32(shape.most))
        return scale, np.clip(np.round(-low / scale), 0, shape.most).astype(np.float32)
    middle = np.full(group.shape[0], shape.middle, np.float32)
    if shape.bits == 4:
        largest = np.take_along_axis(group, np.abs(group).argmax(axis=1)[:, None], axis=1)[:, 0]
        return _never_zero(largest / np.float32(-shape.middle)), middle
    return _never_zero(np.abs(group).max(axis=1) / np.float32(shape.middle - 1)), middle


def to_codes(values: Matrix, scale: Matrix, zero_point: Matrix, shape: GridShape) -> Matrix:
    """Return the nearest codes, as float32; the arguments broadcast."""
    least = 1 if shape.symmetric and shape.bits == 8 else 0
    codes: Matrix = np.clip(np.round(values / scale) + zero_point, least, shape.most)
    return codes


def dequantize(codes: NDArray[np.generic], scale: Matrix, zero_point: Matrix) -> Matrix:
    """Return the values of codes; the arguments broadcast."""
    values: Matrix = (codes.astype(np.float32) - zero_point) * scale
    return values


def round_to_nearest(matrix: Matrix, shape: GridShape) -> QuantizedMatrix:
    """Quantize a matrix [outputs, inputs], each value to the nearest of its group's grid (RTN)."""
    output_count, input_count = matrix.shape
    width = shape.width(input_count)
    codes = np.empty(matrix.shape, np.uint8)
    scales = np.empty((output_count, shape.group_count(input_count)), np.float32)
    zero_points = np.empty(scales.shape, np.uint8)
    for index, start in enumerate(range(0, input_count, width)):
        group = matrix[:, start : start + width]
        scale, zero_point = group_grid(group, shape)
        codes[:, start : start + width] = to_codes(group, scale[:, None], zero_point[:, None], shape)
        scales[:, index], zero_points[:, index] = scale, zero_point
    return QuantizedMatrix(shape=shape, codes=codes, scales=scales, zero_points=zero_points)


def reconstruction_error(matrix: Matrix, quantized: Matrix, moment: NDArray[np.float64]) -> float:
    """Return the squared error of the outputs, summed over outputs, by the second moment X^T X [inputs, inputs]."""
    wrong = matrix.astype(np.float64) - quantized.astype(np.float64)
    return float(np.einsum("oi,oi->", wrong @ moment, wrong))


def _never_zero(scale: Matrix) -> Matrix:
    # A group of zeros has no scale of its own, and one below the least normal float32 would overflow as a divisor.
    tiny = np.abs(scale) < np.finfo(np.float32).tiny
    return np.where(tiny, np.float32(1), scale).astype(np.float32)
