"""Accuracy in which every class counts the same, however many samples it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS, Answers, Reduction


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancedAccuracy:
    """The mean over the classes of the share of their samples that were answered right."""

    kind: ClassVar[str] = "balanced-accuracy"
    label: ClassVar[str] = "balanced accuracy"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (LABELS,)
    needs_parent_outputs: ClassVar[bool] = False

    @property
    def reduction(self) -> Reduction:
        """The best class a sample."""
        return Reduction(reducer="argmax")

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> Answers:
        """Set the best classes against the labels, int64 [N] both.

        Raises:
            TaskError: outputs that are no class a sample.
        """
        labels, best = truth[LABELS], outputs.get("argmax")
        if best is None or best.shape != labels.shape:
            told = "nothing" if best is None else f"{best.dtype} {list(best.shape)}"
            raise TaskError(
                "outputs_misfit",
                f"balanced-accuracy reads one class a sample for {labels.size} samples, and the model gave {told}; "
                "choose a metric for such outputs",
            )
        return ClassAnswers(labels=labels, correct=best == labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassAnswers:
    """Whether each sample was answered right, bool [N], and its class."""

    labels: NDArray[np.int64]
    correct: NDArray[np.bool_]

    @property
    def sample_count(self) -> int:
        """How many samples were answered."""
        return int(self.correct.size)

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the mean of the classes' shares; a class of which no sample is counted is left out."""
        weights = np.ones(self.sample_count) if counts is None else counts.astype(np.float64)
        totals = np.bincount(self.labels, weights)
        rights = np.bincount(self.labels, weights * self.correct)
        seen = totals > 0
        return float((rights[seen] / totals[seen]).mean()) if seen.any() else None
