"""What a layer's integers are to reproduce: the float layer's outputs, on inputs as the quantized model has them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """The problem of one layer; g groups, R rows, K products, M outputs a group, all float32.

    ``rows`` [g, R, K] are the inputs as the quantized model has them, ``target`` [g, R, M] the float layer's outputs
    before the activation. ``steps`` [g, K, M] is weight / scale + zero point; ``scale``, ``zero_point`` and ``bias``
    [g, 1, M]; ``least`` and ``most`` bound the integers. ``low`` and ``high`` are the activation's (infinite for none).
    """

    rows: NDArray[np.float32]
    target: NDArray[np.float32]
    steps: NDArray[np.float32]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.float32]
    bias: NDArray[np.float32]
    least: int
    most: int
    low: float
    high: float

    @property
    def is_linear(self) -> bool:
        """Whether no activation bounds the outputs."""
        return self.low == -np.inf and self.high == np.inf

    def column_errors(self, integers: NDArray[Any], rows: slice) -> NDArray[np.float64]:
        """Return the mean square error [g, 1, M] of each activated output with these integers [g, K, M]."""
        given = np.matmul(self.rows[:, rows], self.weights(integers)) + self.bias
        difference = self.activated(given) - self.activated(self.target[:, rows])
        return np.asarray(np.square(difference, dtype=np.float64).mean(axis=1, keepdims=True))

    def error(self, integers: NDArray[Any], rows: slice) -> float:
        """Return the mean square error of the activated outputs with these integers [g, K, M]."""
        return float(self.column_errors(integers, rows).mean())

    def weights(self, integers: NDArray[Any]) -> NDArray[np.float32]:
        """Return the numbers that integers [g, K, M] stand for."""
        return np.asarray((integers.astype(np.float32) - self.zero_point) * self.scale)

    def nearest(self) -> NDArray[np.float32]:
        """Return the integers of rounding to nearest."""
        return np.asarray(np.clip(np.rint(self.steps), self.least, self.most))

    def activated(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values behind the activation."""
        return values if self.is_linear else np.clip(values, np.float32(self.low), np.float32(self.high))

    def first_rows(self, count: int) -> Reconstruction:
        """Return the same problem with its first ``count`` rows."""
        return dataclasses.replace(self, rows=self.rows[:, :count], target=self.target[:, :count])

    def columns(self, chosen: slice) -> Reconstruction:
        """Return the problem of some outputs of each group: outputs do not hang on each other."""
        return dataclasses.replace(
            self,
            target=self.target[..., chosen],
            steps=self.steps[..., chosen],
            scale=self.scale[..., chosen],
            zero_point=self.zero_point[..., chosen],
            bias=self.bias[..., chosen],
        )
