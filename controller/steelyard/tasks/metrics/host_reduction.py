"""What a device's reducers make of outputs, made here for scores on the controller. Pure: arrays in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import Reduction

# Whole outputs of all samples are kept in memory until they are scored.
DEFAULT_QUOTA_BYTES = 1024**3


class HostReduction:
    """Collects the reduced outputs of successive batches; arrays and names are those of ``Reduction``."""

    def __init__(self, reduction: Reduction, *, quota_bytes: int = DEFAULT_QUOTA_BYTES) -> None:
        self._reduction = reduction
        self._quota_bytes = quota_bytes
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._size_bytes = 0
        self._sample_count = 0

    def add(self, outputs: Mapping[str, NDArray[Any]], sample_count: int) -> None:
        """Take the outputs of the next ``sample_count`` samples.

        Raises:
            TaskError: outputs that the reducer does not fit, or more of them than the quota.
        """
        for name, part in self._reduced(outputs, sample_count).items():
            self._parts.setdefault(name, []).append(part)
            self._size_bytes += part.nbytes
        self._sample_count += sample_count
        if self._size_bytes > self._quota_bytes:
            raise TaskError(
                "output_quota",
                f"the outputs of {self._sample_count} samples take {self._size_bytes} bytes, more than the "
                f"{self._quota_bytes} that are kept; evaluate fewer samples",
            )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of all batches together."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}

    def _reduced(self, outputs: Mapping[str, NDArray[Any]], sample_count: int) -> dict[str, NDArray[Any]]:
        if self._reduction.reducer == "full":
            return {name: np.atleast_1d(values) for name, values in outputs.items()}
        name, scores = next(iter(outputs.items()))
        if scores.ndim < 2 or len(scores) != sample_count or scores.dtype.kind not in "fiub":
            raise TaskError(
                "reducer_misfit",
                f"the metric reads scores of {sample_count} samples, and the model's first output {name!r} is "
                f"{scores.dtype} {list(scores.shape)}; choose a metric that reads whole outputs",
            )
        if self._reduction.reducer == "argmax":
            return {"argmax": _argmax(scores)}
        flat = _without_nan(scores.reshape(sample_count, -1))
        if self._reduction.reducer == "top_k":
            # Stable, so that ties keep the lower index first, as argmax does.
            order = np.argsort(-flat.astype(np.float64), axis=-1, kind="stable")[:, : self._reduction.top_count]
            kept = scores.reshape(sample_count, -1)
            return {"indices": order.astype(np.int64), "scores": np.take_along_axis(kept, order, axis=-1)}
        samples, indices = np.nonzero(np.greater_equal(flat, self._reduction.score_threshold))
        return {
            "samples": samples.astype(np.int64) + self._sample_count,
            "indices": indices.astype(np.int64),
            "scores": flat[samples, indices],
        }


def _argmax(scores: NDArray[Any]) -> NDArray[np.int64]:
    best = np.argmax(_without_nan(scores), axis=-1).astype(np.int64)
    if scores.dtype.kind == "f":
        best[np.isnan(scores).all(axis=-1)] = -1
    return np.asarray(best)


def _without_nan(scores: NDArray[Any]) -> NDArray[Any]:
    if scores.dtype.kind != "f" or not np.isnan(scores).any():
        return scores
    return np.where(np.isnan(scores), scores.dtype.type(-np.inf), scores)
