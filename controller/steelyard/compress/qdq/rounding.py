"""Adaptive rounding of one layer's weights (Nagel et al. 2020, "Up or Down? Adaptive Rounding for PTQ"), in numpy.

Every weight is its floor plus a rectified sigmoid of a learnt value, between 0 and 1. The error of the layer's outputs,
behind its activation, is brought down by Adam; a regularizer, whose exponent falls, drives each choice to 0 or 1.
Other than in the paper, learning begins between the weight itself and what ``descend`` chose, so that a quarter of the
steps is enough, and each output has what did best on rows that were held out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.qdq.descent import descend
from steelyard.compress.qdq.layer_outputs import Reconstruction

# The paper's stretch of the sigmoid; its first fifth runs without the regularizer.
_LOW, _HIGH = -0.1, 1.1
_WARM_SHARE = 0.2
# Tried on layers of two CNNs; the paper's 20 leaves too few steps to the end at a quarter of its steps.
_FIRST_EXPONENT, _LAST_EXPONENT = 10.0, 2.0
# Of the regularizer against an output's error, which is scaled so that nearest rounding costs 1 a weight.
_REGULARIZER = 2.0
_LEARNING_RATE = 4e-2
_DECAYS, _EPSILON = (0.9, 0.999), 1e-8
# How far learning begins from the weight itself towards what descending chose.
_START_SHARE = 0.5
# Rows of a step: as many, and of many groups as few, as have so many inputs.
_MOST_ROWS_AT_ONCE, _LEAST_ROWS_AT_ONCE = 256, 32
_INPUTS_AT_ONCE = 1 << 18
# Weights that are learnt at once: a dozen arrays of that many floats fit a processor's cache.
_WEIGHTS_AT_ONCE = 1 << 16
# Rows that only the choice between roundings sees.
_HELD_OUT_SHARE = 0.25
_LEAST_ERROR = 1e-20


def best_rounding(
    problem: Reconstruction, stored: NDArray[np.float32], *, iterations: int, seed: int
) -> tuple[NDArray[np.float32], float]:
    """Return integers [g, K, M], and their error as a share of that of ``stored``, at most 1.

    Each output has those of ``stored``, ``descend`` and ``learn_rounding`` that err least on a quarter of the rows,
    which nothing was learnt on; the error is on these rows.
    """
    row_count = problem.rows.shape[1]
    train_count = max(1, row_count - int(row_count * _HELD_OUT_SHARE))
    judged = slice(train_count, None) if train_count < row_count else slice(None)
    train = problem.first_rows(train_count)
    descended = descend(train)
    choices = [stored, descended, learn_rounding(train, descended, iterations=iterations, seed=seed)]
    errors = np.stack([problem.column_errors(one, judged) for one in choices])
    best = np.argmin(errors, axis=0)  # of equals the first: what was stored
    before, after = float(errors[0].sum()), float(errors.min(axis=0).sum())
    chosen = np.asarray(np.choose(best, choices), dtype=np.float32)
    return chosen, after / before if before else 1.0


def learn_rounding(
    problem: Reconstruction, start: NDArray[np.float32], *, iterations: int, seed: int
) -> NDArray[np.float32]:
    """Return integers [g, K, M], each the floor or the ceiling of its weight, learnt on all rows from ``start``."""
    groups, products, outputs = problem.steps.shape
    size = max(1, _WEIGHTS_AT_ONCE // (groups * products))
    wanted_rows = _INPUTS_AT_ONCE // (groups * products)
    rows_at_once = max(_LEAST_ROWS_AT_ONCE, min(_MOST_ROWS_AT_ONCE, wanted_rows))
    learnt = start.copy()
    for first in range(0, outputs, size):
        some = slice(first, first + size)
        part = _Learning(problem.columns(some), start[..., some])
        for done, rows in _turns(problem.rows.shape[1], rows_at_once, iterations, seed):
            part.step(rows, done)
        learnt[..., some] = part.integers()
    return learnt


def _turns(row_count: int, most: int, iterations: int, seed: int) -> Iterator[tuple[float, NDArray[np.intp]]]:
    """Yield the share of the steps that is done, and the rows of the next; none comes again before all came."""
    rng = np.random.default_rng(seed)
    size = min(most, row_count)
    order, first = rng.permutation(row_count), 0
    for iteration in range(iterations):
        if first + size > row_count:
            order, first = rng.permutation(row_count), 0
        yield iteration / iterations, order[first : first + size]
        first += size


class _Learning:
    """Learns the rounding of a few outputs; arrays are reused, since making them took longer than filling them."""

    def __init__(self, problem: Reconstruction, start: NDArray[np.float32]) -> None:
        self._problem = problem
        self._target = problem.activated(problem.target)
        self._floor = np.floor(problem.steps)
        self._floor_weights = problem.weights(self._floor)
        share = problem.steps - self._floor
        share += np.float32(_START_SHARE) * (np.clip(start - self._floor, 0.0, 1.0) - share)
        self._values = -np.log(np.float32(_HIGH - _LOW) / (share - np.float32(_LOW)) - np.float32(1.0))
        self._adam = _Adam(self._values)
        errors = problem.column_errors(problem.nearest(), slice(None))
        least = max(_LEAST_ERROR, float(errors.mean()) * 1e-6)
        # By an integer instead of a weight, in units of nearest rounding's error a weight.
        products = problem.steps.shape[1]
        self._factor = (2.0 * products * problem.scale / np.maximum(errors, least)).astype(np.float32)
        self._sigmoid, self._share, self._spare, self._gradient = (np.empty_like(self._values) for _ in range(4))

    def step(self, rows: NDArray[np.intp], done: float) -> None:
        """Move the values by the error on some rows and, behind the first fifth, by the regularizer."""
        sigmoid, share, gradient = self._sigmoid, self._share, self._gradient
        np.exp(np.negative(self._values, out=sigmoid), out=sigmoid)
        sigmoid += np.float32(1.0)
        np.reciprocal(sigmoid, out=sigmoid)
        np.multiply(sigmoid, np.float32(_HIGH - _LOW), out=share)
        share += np.float32(_LOW)
        np.clip(share, 0.0, 1.0, out=share)
        self._fill_error_gradient(rows)
        if done >= _WARM_SHARE:
            self._add_regularizer_gradient(_exponent((done - _WARM_SHARE) / (1 - _WARM_SHARE)))
        # By the value: the sigmoid's slope, and nothing where it is rectified.
        gradient *= sigmoid
        np.subtract(np.float32(1.0), sigmoid, out=self._spare)
        gradient *= self._spare
        gradient *= np.float32(_HIGH - _LOW)
        gradient *= (share > 0.0) & (share < 1.0)
        self._adam.step(gradient, self._spare)

    def integers(self) -> NDArray[np.float32]:
        """Return what was learnt."""
        problem = self._problem
        return np.asarray(np.clip(self._floor + (self._values >= 0.0), problem.least, problem.most), dtype=np.float32)

    def _fill_error_gradient(self, at: NDArray[np.intp]) -> None:
        """Store the gradient of the mean square error on some rows, by the share."""
        problem, rows = self._problem, self._problem.rows[:, at]
        weights = np.multiply(self._share, problem.scale, out=self._spare)
        weights += self._floor_weights
        given = np.matmul(rows, weights)
        given += problem.bias
        difference = problem.activated(given) - self._target[:, at]
        if not problem.is_linear:
            difference *= (given > problem.low) & (given < problem.high)
        np.matmul(rows.transpose(0, 2, 1), difference, out=self._gradient)
        self._gradient *= self._factor / np.float32(len(at))

    def _add_regularizer_gradient(self, exponent: float) -> None:
        """Add the gradient of sum(1 - |2 h - 1| ^ exponent) by the share h."""
        centred = np.multiply(self._share, np.float32(2.0), out=self._spare)
        centred -= np.float32(1.0)
        slope = np.abs(centred)
        slope **= np.float32(exponent - 1.0)
        slope *= np.float32(-2.0 * exponent * _REGULARIZER)
        self._gradient += np.multiply(slope, np.sign(centred, out=centred), out=slope)


def _exponent(done: float) -> float:
    """Return the exponent of the regularizer, which falls along half a cosine."""
    return float(_LAST_EXPONENT + 0.5 * (_FIRST_EXPONENT - _LAST_EXPONENT) * (1.0 + np.cos(done * np.pi)))


class _Adam:
    """Adam (Kingma and Ba 2015) on one array, which it changes in place."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self._values = values
        self._mean, self._square = np.zeros_like(values), np.zeros_like(values)
        self._count = 0

    def step(self, gradient: NDArray[np.float32], spare: NDArray[np.float32]) -> None:
        """Move the values against a gradient, which is lost, as what ``spare`` holds."""
        self._count += 1
        first, second = _DECAYS
        self._square *= np.float32(second)
        np.multiply(gradient, gradient, out=spare)
        spare *= np.float32(1 - second)
        self._square += spare
        self._mean *= np.float32(first)
        gradient *= np.float32(1 - first)
        self._mean += gradient
        np.sqrt(self._square, out=spare)
        spare += np.float32(_EPSILON)
        np.divide(self._mean, spare, out=spare)
        spare *= np.float32(_LEARNING_RATE * np.sqrt(1 - second**self._count) / (1 - first**self._count))
        self._values -= spare
