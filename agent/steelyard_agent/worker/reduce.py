"""Reduces a model's outputs on the device to what a metric needs. One declarative reducer per evaluation.

| reducer | reads | arrays of the .npz |
|---|---|---|
| argmax | first output [N, ..., C] | ``argmax`` int64 [N, ...]; -1 where every score is NaN |
| top_k | first output [N, C] | ``indices`` int64 [N, k] best first, ``scores`` [N, k] in the output's dtype |
| score_threshold | first output [N, C] | ``samples``, ``indices`` int64 [M], ``scores`` [M]: each score at or above |
| full | every output | one array per output name, [N, ...] in the output's dtype |

NaN never wins: it orders behind every number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from steelyard_agent.worker.block import Block
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.shapes import shape_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steelyard_agent.worker.contract import Array


@dataclass(slots=True, kw_only=True)
class Reduction:
    """Collects the reduced outputs of successive batches."""

    block: Block
    odd_value_count: int = 0
    value_count: int = 0
    _parts: dict[str, list[Array]] = field(default_factory=dict)
    _size_bytes: int = 0
    _sample_count: int = 0

    def add(self, outputs: Mapping[str, Array], sample_count: int) -> None:
        """Take the outputs of the next ``sample_count`` samples.

        Raises:
            BlockFailure: USER_ERROR when the reducer does not fit the outputs or the quota is used up.
        """
        self._count_odd(outputs)
        for name, part in self.reduced(outputs, sample_count).items():
            self._parts.setdefault(name, []).append(part)
            self._size_bytes += part.nbytes
        self._sample_count += sample_count
        if self._size_bytes > self.block.output_quota_bytes:
            raise BlockFailure(
                BlockStatus.USER_ERROR,
                "output_quota",
                f"the reduced outputs of {self._sample_count} samples take {self._size_bytes} bytes, over the quota of "
                f"{self.block.output_quota_bytes}; choose a reducer like argmax or top_k, or fewer samples",
            )

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of all batches together."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know about the values."""
        if not self.odd_value_count:
            return ()
        return (f"{self.odd_value_count} of {self.value_count} output values are NaN or infinite",)

    def reduced(self, outputs: Mapping[str, Array], sample_count: int) -> dict[str, Array]:
        """Return the outputs of ``sample_count`` samples reduced, and keep nothing of them.

        Raises:
            BlockFailure: USER_ERROR when the reducer does not fit the outputs.
        """
        if self.block.reducer == "full":
            return {name: np.atleast_1d(values) for name, values in outputs.items()}
        name, scores = next(iter(outputs.items()))
        least = 2
        if scores.ndim < least or len(scores) != sample_count or scores.dtype.kind not in "fiub":
            raise BlockFailure(
                BlockStatus.USER_ERROR,
                "reducer_misfit",
                f"reducer {self.block.reducer!r} needs scores of shape {sample_count}xCLASSES; output {name!r} is "
                f"{scores.dtype.name} of shape {shape_text(scores.shape)}; use the reducer full",
            )
        if self.block.reducer == "argmax":
            return {"argmax": _argmax(scores)}
        flat = scores.reshape(sample_count, -1)
        if self.block.reducer == "top_k":
            return _top(flat, self.block.top_count)
        return _at_or_above(flat, self.block.score_threshold, self._sample_count)

    def _count_odd(self, outputs: Mapping[str, Array]) -> None:
        for values in outputs.values():
            self.value_count += values.size
            if values.dtype.kind == "f":
                self.odd_value_count += values.size - int(np.count_nonzero(np.isfinite(values)))


def _argmax(scores: Array) -> Array:
    best: NDArray[np.int64] = np.argmax(_without_nan(scores), axis=-1).astype(np.int64)
    if scores.dtype.kind == "f":
        best[np.isnan(scores).all(axis=-1)] = -1
    return best


def _top(scores: Array, count: int) -> dict[str, Array]:
    # Stable, on the negated order, so that ties keep the lower index first as argmax does.
    order = np.argsort(-_without_nan(scores).astype(np.float64), axis=-1, kind="stable")[:, :count]
    return {"indices": order.astype(np.int64), "scores": np.take_along_axis(scores, order, axis=-1)}


def _at_or_above(scores: Array, threshold: float, first_sample: int) -> dict[str, Array]:
    samples, indices = np.nonzero(np.greater_equal(_without_nan(scores), threshold))
    return {
        "samples": samples.astype(np.int64) + first_sample,
        "indices": indices.astype(np.int64),
        "scores": scores[samples, indices],
    }


def _without_nan(scores: Array) -> Array:
    if scores.dtype.kind != "f" or not np.isnan(scores).any():
        return scores
    return np.where(np.isnan(scores), scores.dtype.type(-np.inf), scores)
