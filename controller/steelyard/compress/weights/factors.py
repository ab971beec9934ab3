"""Low rank: two factors in place of a matrix or a convolution, and how large the rank has to be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.weights.second_moment import SecondMoment

Matrix = NDArray[np.float64]
# Directions of less than this share of the mean energy count as that much: they must stay divisible.
_LEAST_DAMPING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """A matrix [rows, columns] as ``left`` [rows, R] times ``right`` [R, columns], R = all singular values.

    ``kept[r - 1]`` is the share of squared singular values that rank r keeps. ``macs_by_rank`` and ``macs_before``
    count multiply-accumulates for one output position.
    """

    left: Matrix
    right: Matrix
    kept: NDArray[np.float64]
    macs_by_rank: int
    macs_before: int

    def rank_of_energy(self, share: float) -> int:
        """Return the smallest rank that keeps this share of squared singular values."""
        return min(int(np.searchsorted(self.kept, share - 1e-12)) + 1, len(self.kept))

    def rank_of_ratio(self, ratio: float) -> int:
        """Return the largest rank that needs at most this share of the multiply-accumulates, 1 at least."""
        return min(max(int(ratio * self.macs_before / self.macs_by_rank), 1), len(self.kept))

    def saves(self, rank: int) -> bool:
        """Return whether two factors of this rank need fewer multiply-accumulates than the whole."""
        return rank < len(self.kept) and rank * self.macs_by_rank < self.macs_before

    def factors(self, rank: int) -> tuple[Matrix, Matrix]:
        """Return [rows, rank] and [rank, columns]; their scales are balanced, which later quantization needs."""
        return self.left[:, :rank], self.right[:rank]


def decompose(
    matrix: Matrix, *, macs_by_rank: int, macs_before: int, moment: SecondMoment | None = None
) -> Decomposition:
    """Return the singular value decomposition of a matrix [inputs, outputs].

    With ``moment`` (of what it is multiplied with) the factors are best for the outputs X W and not for W: the
    decomposition is that of S W with the root S of the moment, S^2 = X^T X (as in Chen et al., "DRONE: Data-aware
    Low-rank Compression for Large NLP Models", 2021), and ``kept`` is the share of output energy.
    """
    if moment is None or not moment.says_something:
        inverse = None
        target = matrix
    else:
        energies, directions = np.linalg.eigh(moment.damped(_LEAST_DAMPING))
        sizes = np.sqrt(np.maximum(energies, _LEAST_DAMPING * float(energies.mean())))
        inverse = directions / sizes @ directions.T
        target = directions * sizes @ directions.T @ matrix
    rows, values, columns = np.linalg.svd(target, full_matrices=False)
    # The sign of a pair of singular vectors is free, and libraries differ: the largest of each row vector is positive.
    signs = np.sign(np.take_along_axis(columns, np.abs(columns).argmax(axis=1)[:, None], axis=1))
    signs[signs == 0] = 1
    left, right = rows * signs.T, columns * signs
    if inverse is not None:
        left = inverse @ left
    energies = values**2
    total = float(energies.sum())
    kept = np.cumsum(energies) / total if total else np.ones_like(energies)
    balance = np.sqrt(values)
    return Decomposition(
        left=left * balance,
        right=right * balance[:, None],
        kept=kept,
        macs_by_rank=macs_by_rank,
        macs_before=macs_before,
    )
