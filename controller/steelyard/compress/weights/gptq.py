"""GPTQ: round weights one input at a time, and let the inputs to come make up for each error.

Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", ICLR 2023, algorithm 1; the order by activation is that of its authors' code (``act_order``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.weights.grid import (
    GridShape,
    Matrix,
    QuantizedMatrix,
    dequantize,
    group_grid,
    reconstruction_error,
    round_to_nearest,
    to_codes,
)
from steelyard.compress.weights.second_moment import SecondMoment, Square

# Inputs that are rounded before their errors reach those behind them: fewer passes over the matrix (section 3.3).
_LAZY_BATCH = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class GptqResult:
    """The better of GPTQ and rounding, and the squared output error of both on the calibration data."""

    quantized: QuantizedMatrix
    error: float
    rounding_error: float


def quantize_by_gptq(
    matrix: Matrix, moment: SecondMoment, shape: GridShape, *, damping: float = 0.01, act_order: bool = True
) -> GptqResult:
    """Quantize a matrix [outputs, inputs] so that its outputs change little.

    Args:
        matrix: float32 weights.
        moment: that of the layer's inputs.
        shape: the grid.
        damping: what is added to the moment's diagonal, as a share of its mean; more is where there are few rows.
        act_order: round inputs of large activations first; their groups' scales are then those of the given weights.
    """
    rounded = round_to_nearest(matrix, shape)
    if not moment.says_something:
        return GptqResult(quantized=rounded, error=0.0, rounding_error=0.0)
    rounding_error = reconstruction_error(matrix, rounded.dequantized(), moment.products)
    factor = _inverse_factor(moment, damping, act_order=act_order)
    if factor is None:
        return GptqResult(quantized=rounded, error=rounding_error, rounding_error=rounding_error)
    order, upper = factor
    made = _Rounding(matrix, shape, rounded if act_order else None, order, upper).run()
    error = reconstruction_error(matrix, made.dequantized(), moment.products)
    if error >= rounding_error:
        return GptqResult(quantized=rounded, error=rounding_error, rounding_error=rounding_error)
    return GptqResult(quantized=made, error=error, rounding_error=rounding_error)


def _inverse_factor(moment: SecondMoment, damping: float, *, act_order: bool) -> tuple[NDArray[np.intp], Square] | None:
    """Return the order of the inputs and the upper Cholesky factor of the inverse second moment in that order.

    None when there is none: inputs that hang on each other so that damping does not part them.
    """
    diagonal = np.diag(moment.products)
    order = np.argsort(-diagonal, kind="stable") if act_order else np.arange(len(diagonal))
    damped = moment.damped(damping)[np.ix_(order, order)]
    try:
        inverse = np.linalg.inv(damped)
        upper: Square = np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float64)
    except np.linalg.LinAlgError:
        return None
    return order, upper


class _Rounding:
    """One run over a matrix; columns stand in the order in which they are rounded."""

    def __init__(
        self,
        matrix: Matrix,
        shape: GridShape,
        fixed: QuantizedMatrix | None,
        order: NDArray[np.intp],
        upper: Square,
    ) -> None:
        output_count, input_count = matrix.shape
        self._left = matrix.astype(np.float64)[:, order]
        self._shape, self._order, self._upper = shape, order, upper
        self._width = shape.width(input_count)
        self._codes = np.empty(matrix.shape, np.uint8)
        self._scales = np.empty((output_count, shape.group_count(input_count)), np.float32)
        self._zero_points = np.empty(self._scales.shape, np.uint8)
        self._fixed = fixed
        if fixed is not None:
            self._scales[:], self._zero_points[:] = fixed.scales, fixed.zero_points

    def run(self) -> QuantizedMatrix:
        input_count = self._left.shape[1]
        for start in range(0, input_count, _LAZY_BATCH):
            stop = min(start + _LAZY_BATCH, input_count)
            errors = self._round_batch(start, stop)
            self._left[:, stop:] -= errors @ self._upper[start:stop, stop:]
        codes = np.empty_like(self._codes)
        codes[:, self._order] = self._codes
        return QuantizedMatrix(shape=self._shape, codes=codes, scales=self._scales, zero_points=self._zero_points)

    def _round_batch(self, start: int, stop: int) -> Square:
        errors = np.empty((self._left.shape[0], stop - start))
        for at in range(start, stop):
            group = int(self._order[at]) // self._width
            if self._fixed is None and at % self._width == 0:
                self._find_grid(group, at, errors, start)
            scale, zero_point = self._scales[:, group], self._zero_points[:, group].astype(np.float32)
            column = self._left[:, at]
            codes = to_codes(column.astype(np.float32), scale, zero_point, self._shape)
            self._codes[:, at] = codes
            wrong = (column - dequantize(codes, scale, zero_point)) / self._upper[at, at]
            errors[:, at - start] = wrong
            self._left[:, at + 1 : stop] -= np.outer(wrong, self._upper[at, at + 1 : stop])
        return errors

    def _find_grid(self, group: int, at: int, errors: Square, start: int) -> None:
        """Choose scale and zero point of a group by its values as they are now, errors of this batch included."""
        last = min(at + self._width, self._left.shape[1])
        values = self._left[:, at:last].copy()
        beyond = min(start + _LAZY_BATCH, self._left.shape[1])
        if last > beyond and at > start:
            values[:, beyond - at :] -= errors[:, : at - start] @ self._upper[start:at, beyond:last]
        scale, zero_point = group_grid(values.astype(np.float32), self._shape)
        self._scales[:, group], self._zero_points[:, group] = scale, zero_point
