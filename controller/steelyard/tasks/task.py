"""A task in memory: the arrays as they are stored, and what is done to them before a model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.preprocess import Preprocess

METRICS = ("top1",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedTask:
    """Checked data: not empty, finite, labels that are class numbers, splits that share no sample.

    ``evaluation_inputs`` [N, ...] and ``calibration_inputs`` [M, ...] are as stored; ``labels`` is int64 [N].
    ``preprocess`` None means that the stored arrays are already what the model takes.
    """

    name: str
    source: Path
    evaluation_inputs: NDArray[Any]
    labels: NDArray[np.int64]
    calibration_inputs: NDArray[Any] | None = None
    preprocess: Preprocess | None = None
    metric: str = "top1"
    class_names: tuple[str, ...] = ()
    licence: str = ""
    description: str = ""

    def model_shape(self) -> tuple[int, ...]:
        """Return the shape of one sample as the model gets it."""
        shape = self.evaluation_inputs.shape[1:]
        return self.preprocess.output_shape(shape) if self.preprocess else shape

    def model_dtype(self) -> np.dtype[Any]:
        """Return the dtype of what the model gets."""
        return np.dtype(np.float32) if self.preprocess else self.evaluation_inputs.dtype

    def model_inputs(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return stored samples [K, ...] as the model gets them."""
        return self.preprocess.apply(stored) if self.preprocess else stored
