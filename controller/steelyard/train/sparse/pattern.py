"""Which weights are zero at a stage of a gradual schedule. Pure: arrays in, masks out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.weights.zeroing import n_of_m, without_smallest, without_smallest_blocks

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparsityPattern:
    """``sparsity`` is the share of zeros in the end; N:M has it from ``pattern``. See the step ``sparsify``."""

    sparsity: float
    pattern: str = "unstructured"
    scope: str = "global"
    block: tuple[int, int] = (4, 1)

    @property
    def kept_and_grouped(self) -> tuple[int, int] | None:
        """N and M of a pattern N:M, None for another."""
        kept, colon, grouped = self.pattern.partition(":")
        return (int(kept), int(grouped)) if colon else None

    @property
    def final_sparsity(self) -> float:
        """The share of zeros in the end."""
        found = self.kept_and_grouped
        return self.sparsity if found is None else 1 - found[0] / found[1]

    def masks(self, weights: Sequence[NDArray[np.float32]], progress: float) -> list[Mask]:
        """Return which weights stay, True, at ``progress`` from 0 to 1; weights are [outputs, ..., inputs].

        The share of zeros grows as 1 - (1 - progress)^3 of the final one (Zhu and Gupta 2017, equation 1).
        """
        share = self.final_sparsity * (1 - (1 - min(max(progress, 0.0), 1.0)) ** 3)
        return [one != 0 for one in self._zeroed([_without_zeros(one) for one in weights], share, progress)]

    def _zeroed(
        self, weights: Sequence[NDArray[np.float32]], share: float, progress: float
    ) -> list[NDArray[np.float32]]:
        found = self.kept_and_grouped
        if found is not None:
            kept, grouped = found
            # One more of each group goes at a time; in the end N stay.
            removed = math.floor(share * grouped + 1e-9) if progress < 1 else grouped - kept
            return [n_of_m(one, grouped - removed, grouped) for one in weights]
        groups = [list(weights)] if self.scope == "global" else [[one] for one in weights]
        if self.pattern == "block":
            return [one for group in groups for one in without_smallest_blocks(group, share, self.block)]
        return [one for group in groups for one in without_smallest(group, share)]


def _without_zeros(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Return magnitudes in which a weight that is zero by chance is told from one that was made zero."""
    magnitudes: NDArray[np.float32] = np.abs(weights).astype(np.float32)
    return np.where(magnitudes == 0, np.finfo(np.float32).tiny, magnitudes)
