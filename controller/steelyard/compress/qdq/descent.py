"""Rounding as a choice of up or down for each weight, one weight after the other while the error falls.

Without its activation the error of a layer's outputs is a quadratic function of the choices (equation 20 of Nagel et
al. 2020, "Up or Down? Adaptive Rounding for PTQ"), known from the second moment of the inputs alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.qdq.layer_outputs import Reconstruction

# Inputs whose changes reach those beyond them together: fewer passes over the gradient.
_LAZY_COUNT = 64
_MOST_SWEEPS = 20
# A sweep that changes a smaller share of the weights is the last one.
_SETTLED_SHARE = 1e-4
# Of the mean of the second moment's diagonal, added to it: few rows say little of inputs that go together.
_DAMPING = 0.01
# Of the second moment: larger layers are not descended.
_MOST_BYTES = 128 * 1024 * 1024
_FLOAT_BYTES = 4


def descend(problem: Reconstruction) -> NDArray[np.float32]:
    """Return integers [g, K, M] from which no single weight, taken up or down, lowers the error before the activation.

    Starts from rounding to nearest, and answers it where the second moment of the inputs would be too large.
    """
    groups, products, _ = problem.steps.shape
    nearest = problem.nearest()
    if groups * products**2 * _FLOAT_BYTES > _MOST_BYTES:
        return nearest
    return _Descent(problem, nearest).run()


class _Descent:
    """One descent; the gradient [g, K, M] is by weights and halved."""

    def __init__(self, problem: Reconstruction, start: NDArray[np.float32]) -> None:
        transposed = problem.rows.transpose(0, 2, 1)
        row_count = problem.rows.shape[1]
        moment = np.matmul(transposed, problem.rows) / np.float32(row_count)
        diagonal = np.einsum("gkk->gk", moment)
        damping = np.float32(_DAMPING) * diagonal.mean(axis=1)
        wanted = np.matmul(transposed, problem.target - problem.bias) / np.float32(row_count)
        wanted += damping[:, None, None] * problem.weights(problem.steps)
        diagonal += damping[:, None]  # a view: the moment itself
        self._moment, self._diagonal = moment, diagonal.copy()
        self._scale = problem.scale
        self._integers = start.copy()
        # Down and up; what rounding has clipped stays where it is.
        self._both = (
            np.clip(np.floor(problem.steps), problem.least, problem.most)
            + np.clip(np.ceil(problem.steps), problem.least, problem.most)
        ).astype(np.float32)
        self._gradient = np.matmul(moment, problem.weights(start)) - wanted

    def run(self) -> NDArray[np.float32]:
        products = self._integers.shape[1]
        for _ in range(_MOST_SWEEPS):
            changed = sum(
                self._sweep(slice(start, min(start + _LAZY_COUNT, products)))
                for start in range(0, products, _LAZY_COUNT)
            )
            if changed <= _SETTLED_SHARE * self._integers.size:
                break
        return self._integers

    def _sweep(self, inputs: slice) -> int:
        """Take the weights of some inputs in turn, of all outputs at once; return how many changed."""
        moment, gradient = self._moment[:, inputs, inputs], self._gradient[:, inputs].copy()
        moves = np.zeros_like(gradient)
        changed = 0
        for index in range(gradient.shape[1]):
            at = inputs.start + index
            steps = self._both[:, at] - 2 * self._integers[:, at]
            move = steps * self._scale[:, 0]
            gain = move * (2 * gradient[:, index] + move * self._diagonal[:, at, None])
            helps: NDArray[Any] = gain < 0
            if not helps.any():
                continue
            changed += int(np.count_nonzero(helps))
            self._integers[:, at] += np.where(helps, steps, np.float32(0))
            moves[:, index] = np.where(helps, move, np.float32(0))
            gradient += moment[:, :, index, None] * moves[:, None, index]
        if changed:
            self._gradient += np.matmul(self._moment[:, :, inputs], moves)
        return changed
