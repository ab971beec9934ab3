"""Adaptive rounding of one layer's weights (Nagel et al. 2020, "Up or Down? Adaptive Rounding for PTQ"), in numpy.

Every weight is its floor plus a rectified sigmoid of a learnt value, between 0 and 1. The error of the layer's outputs,
behind its activation, is brought down by Adam; a regularizer, whose exponent falls, drives each choice to 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The paper's stretch of the sigmoid and its annealing of the exponent; its first fifth runs without the regularizer.
_LOW, _HIGH = -0.1, 1.1
_FIRST_EXPONENT, _LAST_EXPONENT = 20.0, 2.0
_WARM_SHARE = 0.2
# Of the regularizer against the error, which is scaled so that nearest rounding costs 1 a weight.
_REGULARIZER = 1.0
_LEARNING_RATE = 1e-2
_DECAYS, _EPSILON = (0.9, 0.999), 1e-8
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """What a layer's rounding is to reproduce; g groups, R rows, K products, M outputs a group, all float32.

    ``rows`` [g, R, K] are the inputs as the quantized model has them, ``target`` [g, R, M] the float layer's outputs
    before the activation. ``steps`` [g, K, M] is weight / scale + zero point; ``scale`` and ``zero_point`` [g, 1, M] or
    smaller; ``least`` and ``most`` bound the integers. ``low`` and ``high`` are the activation's (infinite for none).
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

    def error(self, integers: NDArray[Any], rows: slice) -> float:
        """Return the mean square error of the activated outputs with these integers [g, K, M]."""
        weight = (integers.astype(np.float32) - self.zero_point) * self.scale
        given = np.matmul(self.rows[:, rows], weight) + self.bias
        difference = self.activated(given) - self.activated(self.target[:, rows])
        return float(np.square(difference, dtype=np.float64).mean())

    def nearest(self) -> NDArray[np.float32]:
        """Return the integers of rounding to nearest."""
        return np.clip(np.rint(self.steps), self.least, self.most)

    def activated(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values behind the activation."""
        if self.low == -np.inf and self.high == np.inf:
            return values
        return np.clip(values, np.float32(self.low), np.float32(self.high))


def learn_rounding(problem: Reconstruction, *, iterations: int, train_rows: int, seed: int) -> NDArray[np.float32]:
    """Return integers [g, K, M], each the floor or the ceiling of its weight, learnt on the first ``train_rows``."""
    rng = np.random.default_rng(seed)
    floor = np.floor(problem.steps)
    state = _Adam(_inverse(problem.steps - floor))
    start_error = problem.error(problem.nearest(), slice(0, train_rows))
    # The error's gradient counts in units of nearest rounding's error, a weight.
    weight_count = problem.steps.size
    factor = np.float32(weight_count / max(start_error, 1e-30))
    for iteration in range(iterations):
        at = rng.integers(0, train_rows, _ROWS_AT_ONCE)
        sigmoid = 1.0 / (1.0 + np.exp(-state.values))
        soft = sigmoid * np.float32(_HIGH - _LOW) + np.float32(_LOW)
        share = np.clip(soft, 0.0, 1.0)
        gradient = _error_gradient(problem, floor + share, at) * factor
        done = iteration / iterations
        if done >= _WARM_SHARE:
            exponent = _exponent((done - _WARM_SHARE) / (1 - _WARM_SHARE))
            gradient += np.float32(_REGULARIZER) * _regularizer_gradient(share, exponent)
        inside = (soft > 0.0) & (soft < 1.0)
        by_value = gradient * inside * sigmoid * (1.0 - sigmoid) * np.float32(_HIGH - _LOW)
        state.step(np.asarray(by_value, dtype=np.float32))
    is_up = state.values >= 0.0
    return np.asarray(np.clip(floor + is_up, problem.least, problem.most), dtype=np.float32)


def _error_gradient(problem: Reconstruction, integers: NDArray[Any], at: NDArray[Any]) -> NDArray[np.float32]:
    """Return the gradient of the mean square error on some rows, by the integers [g, K, M]."""
    rows = problem.rows[:, at]
    given = np.matmul(rows, (integers - problem.zero_point) * problem.scale) + problem.bias
    difference: NDArray[Any] = problem.activated(given) - problem.activated(problem.target[:, at])
    if problem.low != -np.inf or problem.high != np.inf:
        difference *= (given > problem.low) & (given < problem.high)
    by_weight = np.matmul(rows.transpose(0, 2, 1), difference * np.float32(2.0 / difference.size))
    gradient: NDArray[np.float32] = by_weight * problem.scale
    return gradient


def _regularizer_gradient(share: NDArray[Any], exponent: float) -> NDArray[np.float32]:
    """Return the gradient of sum(1 - |2 h - 1| ^ exponent) by h."""
    centred = 2.0 * share - 1.0
    slope = np.float32(-2.0 * exponent) * np.sign(centred) * np.abs(centred) ** np.float32(exponent - 1.0)
    return slope.astype(np.float32, copy=False)


def _exponent(done: float) -> float:
    """Return the exponent of the regularizer, which falls along half a cosine."""
    return float(_LAST_EXPONENT + 0.5 * (_FIRST_EXPONENT - _LAST_EXPONENT) * (1.0 + np.cos(done * np.pi)))


def _inverse(share: NDArray[Any]) -> NDArray[np.float32]:
    """Return the value whose rectified sigmoid is ``share``."""
    return np.asarray(-np.log((_HIGH - _LOW) / (share - _LOW) - 1.0), dtype=np.float32)


class _Adam:
    """Adam (Kingma and Ba 2015) on one array."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values
        self._mean, self._square = np.zeros_like(values), np.zeros_like(values)
        self._count = 0

    def step(self, gradient: NDArray[np.float32]) -> None:
        """Move the values against a gradient."""
        self._count += 1
        first, second = _DECAYS
        self._mean += np.float32(1 - first) * (gradient - self._mean)
        self._square += np.float32(1 - second) * (gradient * gradient - self._square)
        size = _LEARNING_RATE * np.sqrt(1 - second**self._count) / (1 - first**self._count)
        self.values -= np.float32(size) * self._mean / (np.sqrt(self._square) + np.float32(_EPSILON))
