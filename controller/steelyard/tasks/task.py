"""A task in memory: samples as they are stored with their truth, and what is done to them before a model sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.accuracy import Top1
from steelyard.tasks.metrics.contract import Metric
from steelyard.tasks.preprocess import Preprocess

# The name of samples that are for a model's only input, whatever that is called.
ONLY_INPUT = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Samples [N, ...] by input name (``ONLY_INPUT`` where there is one), and their truth by array name."""

    inputs: Mapping[str, NDArray[Any]]
    truth: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def sample_count(self) -> int:
        """How many samples there are."""
        return int(next(iter(self.inputs.values())).shape[0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedTask:
    """Checked data: not empty, finite, truth that the metric reads, splits that share no sample.

    ``preprocess`` None means that the stored arrays are already what the model takes. ``drawn`` tells where the data
    was read from and how samples were drawn, as JSON has it. ``fixed`` are values of further inputs, as in TOML, the
    same for each sample. ``is_whole``: a sample is all that one inference takes, batch axis and all. ``training`` may
    lack truth: a teacher can label it.
    """

    name: str
    source: Path
    evaluation: Split
    calibration: Split | None = None
    validation: Split | None = None
    training: Split | None = None
    preprocess: Preprocess | None = None
    metric: Metric = field(default_factory=Top1)
    class_names: tuple[str, ...] = ()
    licence: str = ""
    description: str = ""
    drawn: Mapping[str, object] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)
    is_whole: bool = False

    def __post_init__(self) -> None:
        """Refuse preprocessing of several inputs: it would not say which of them it is for."""
        if self.preprocess is not None and len(self.evaluation.inputs) > 1:
            raise TaskError(
                "invalid_task",
                f"{self.source}: [preprocess] is for one input, and there are {', '.join(self.evaluation.inputs)}; "
                "store them as the model takes them",
            )

    def model_spec(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Return the dtype and the shape of one sample of an input as the model gets it."""
        stored = self.evaluation.inputs[name]
        if self.preprocess is None:
            return stored.dtype, stored.shape[1:]
        return np.dtype(np.float32), self.preprocess.output_shape(stored.shape[1:])

    def model_inputs(self, split: Split) -> dict[str, NDArray[Any]]:
        """Return the samples of a split as the model gets them, by stored input name."""
        if self.preprocess is None:
            return dict(split.inputs)
        return {name: self.preprocess.apply(stored) for name, stored in split.inputs.items()}
