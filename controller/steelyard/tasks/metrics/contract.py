"""The contract of a metric.

A metric is a frozen dataclass: its fields are its settings and the keys of ``[metric]`` in a task file, checked in
``__post_init__`` (``TaskError``). It never sees a model: truth and reduced outputs come in as arrays, and what comes
out can be weighed sample by sample, so that intervals and paired differences need no method of their own a metric.
Metrics are found by kind in ``steelyard.tasks.metrics.registry``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

# Array names of truth.
LABELS = "labels"  # int64 [N]: class numbers
TARGETS = "targets"  # float64 [N, ...]: what a regression should give
MASKS = "masks"  # int64 [N, H, W]: a class number a pixel
TEXTS = "texts"  # str [N]
BOXES = "boxes"  # float32 [M, 4]: x1, y1, x2, y2 in pixels of the model's input
BOX_LABELS = "box_labels"  # int64 [M]
BOX_SAMPLES = "box_samples"  # int64 [M]: the sample that the box is in


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What the device makes of a model's outputs; names and arrays are those of the agent's reducers.

    ``argmax``: ``argmax`` int64 [N, ...]. ``top_k``: ``indices`` int64 and ``scores`` [N, k]. ``score_threshold``:
    ``samples``, ``indices`` int64 and ``scores`` [M]. ``full``: one array an output, by its name.
    """

    reducer: str
    top_count: int = 0
    score_threshold: float = 0.0


@runtime_checkable
class Answers(Protocol):
    """A model's answers to every sample, against the truth."""

    @property
    def sample_count(self) -> int:
        """How many samples were answered."""
        ...

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the metric with each sample counted ``counts`` [N] times, None: once each.

        None when these samples do not define it (an AUC of one class). A bootstrap calls this thousands of times.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BinaryAnswers:
    """Answers that are right or wrong, bool [N]: the metric is the share of right ones (Wilson, McNemar)."""

    correct: NDArray[np.bool_]

    @property
    def sample_count(self) -> int:
        """How many samples were answered."""
        return int(self.correct.size)

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the share of right answers."""
        if counts is None:
            return float(self.correct.mean()) if self.correct.size else None
        total = int(counts.sum())
        return float((self.correct * counts).sum() / total) if total else None


class Metric(Protocol):
    """One way to score answers, with its settings."""

    kind: ClassVar[str]
    # In sentences: "top-1 accuracy", "mean average precision".
    label: ClassVar[str]
    # "fraction" for 0 to 1, else the unit of the values ("dB", "" for none).
    unit: ClassVar[str]
    higher_is_better: ClassVar[bool]
    # Arrays of truth that it reads; empty for metrics against the parent's outputs (``needs_parent_outputs``).
    truth_arrays: ClassVar[tuple[str, ...]]
    needs_parent_outputs: ClassVar[bool]
    # The settings: dataclass fields.
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        ...

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> Answers:
        """Set a model's reduced outputs against the truth; ``truth`` are the parent's where the metric needs those.

        Raises:
            TaskError: outputs that do not fit the truth; a device's bytes are not trusted.
        """
        ...
