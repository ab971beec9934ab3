"""Samples to learn from: drawn by index, a batch at a time, from memory or from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.calibration import PackedInput
from steelyard.compress.evaluation import EvaluationSet
from steelyard.tasks.metrics.contract import LABELS, MASKS, TARGETS, Metric
from steelyard.tasks.packing import expand
from steelyard.tasks.stored_rows import StoredRows
from steelyard.train.errors import TrainingInputError

# Truth that has one row a sample.
_PER_SAMPLE = (LABELS, TARGETS, MASKS)
# What drawing is for: each has random numbers of its own.
_SUBSET, _HOLDOUT = 101, 102
_HASHED_AT_ONCE = 512

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """Some rows of a split: ``rows`` int64 [N] are their places in it, in the order that they are counted here."""

    rows: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]
    tables: Mapping[str, NDArray[Any] | None]
    truth: Mapping[str, NDArray[Any]]
    metric: Metric
    split: str

    @classmethod
    def of(cls, chosen: EvaluationSet) -> TrainingData:
        """Return all samples of a split.

        Raises:
            TrainingInputError: whole_samples: each of them is a whole inference, so that there are no batches.
        """
        if chosen.data.is_whole:
            raise TrainingInputError(
                "whole_samples",
                "each sample of the task is a whole inference with a batch of its own, and training puts samples "
                "together; give a task whose samples have no batch axis, or a recipe that does not train",
            )
        inputs = chosen.data.inputs
        return cls(
            rows=np.arange(chosen.data.sample_count, dtype=np.int64),
            values={name: _rows_of(packed) for name, packed in inputs.items()},
            tables={name: packed.table for name, packed in inputs.items()},
            truth={name: array for name, array in chosen.truth.items() if name in _PER_SAMPLE},
            metric=chosen.metric,
            split=chosen.split,
        )

    @property
    def sample_count(self) -> int:
        """How many samples there are."""
        return int(self.rows.size)

    @property
    def has_truth(self) -> bool:
        """Whether there is truth that a loss can read."""
        return bool(self.truth)

    def take(self, places: NDArray[np.int64]) -> tuple[Arrays, Arrays]:
        """Return inputs and truth of the samples at ``places`` [B], counted here."""
        rows = self.rows[places]
        inputs = {name: expand(np.asarray(values[rows]), self.tables[name]) for name, values in self.values.items()}
        return inputs, {name: array[rows] for name, array in self.truth.items()}

    def all_truth(self) -> Arrays:
        """Return the truth of all samples, in their order."""
        return {name: array[self.rows] for name, array in self.truth.items()}

    def drawn(self, count: int, seed: int) -> TrainingData:
        """Return ``count`` samples, drawn; all of them for 0 or where there are fewer."""
        if not 0 < count < self.sample_count:
            return self
        order = np.random.default_rng([seed, _SUBSET]).permutation(self.sample_count)
        return self._only(np.sort(order[:count]))

    def held_out(self, share: float, seed: int) -> tuple[TrainingData, TrainingData | None]:
        """Return the samples to learn from, and the share that is held out of them, None for nothing."""
        count = round(share * self.sample_count)
        if not 0 < count < self.sample_count:
            return self, None
        order = np.random.default_rng([seed, _HOLDOUT]).permutation(self.sample_count)
        return self._only(np.sort(order[count:])), self._only(np.sort(order[:count]))

    def without(self, other: TrainingData) -> TrainingData:
        """Return the samples whose inputs are not those of a sample of ``other``."""
        known = set(other._digests())
        fresh = [place for place, digest in enumerate(self._digests()) if digest not in known]
        return self if len(fresh) == self.sample_count else self._only(np.array(fresh, dtype=np.int64))

    def _digests(self) -> Iterator[bytes]:
        """Yield a digest of the inputs of each sample, in their order."""
        for start in range(0, self.sample_count, _HASHED_AT_ONCE):
            inputs, _ = self.take(np.arange(start, min(start + _HASHED_AT_ONCE, self.sample_count)))
            columns = [np.ascontiguousarray(inputs[name]) for name in sorted(inputs)]
            for row in zip(*columns, strict=True):
                yield hashlib.blake2b(b"".join(one.tobytes() for one in row), digest_size=16).digest()

    def _only(self, places: NDArray[np.int64]) -> TrainingData:
        return TrainingData(
            rows=self.rows[places],
            values=self.values,
            tables=self.tables,
            truth=self.truth,
            metric=self.metric,
            split=self.split,
        )


def _rows_of(packed: PackedInput) -> NDArray[Any]:
    stored = packed.values
    if isinstance(stored, StoredRows):
        return np.memmap(stored.path, stored.dtype, "r", stored.offset_bytes, stored.shape)
    return stored
