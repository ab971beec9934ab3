"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS, Reduction
from steelyard.tasks.metrics.outputs import class_answers, class_labels, finite_output
from steelyard.tasks.metrics.settings import require_choice, require_number, require_text, require_whole
from steelyard.tasks.metrics.weights import sample_counts

_AVERAGES = ("macro", "micro", "binary")
_MOST_CLASSES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class F1:
    """The F1 score 2 TP / (2 TP + FP + FN) of each class.

    ``average``: ``macro``, the mean over the classes that occur among labels and answers; ``micro``, of the sums over
    all classes; ``binary``, of the class ``positive`` alone. The answer is the highest output. For a model with one
    score, [N] or [N, 1], ``threshold`` says from which score on the answer is class 1 (else 0); ``output`` names that
    output, "" for the first. Scores that are all NaN are an answer of no class.
    """

    kind: ClassVar[str] = "f1"
    label: ClassVar[str] = "F1 score"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (LABELS,)
    needs_parent_outputs: ClassVar[bool] = False

    average: str = "macro"
    positive: int = 1
    threshold: float | None = None
    output: str = ""

    def __post_init__(self) -> None:
        require_choice(self.kind, "average", self.average, _AVERAGES)
        require_whole(self.kind, "positive", self.positive, least=0, most=_MOST_CLASSES)
        require_text(self.kind, "output", self.output)
        if self.threshold is not None:
            require_number(self.kind, "threshold", self.threshold, least=-1e30, most=1e30)
        elif self.output:
            raise TaskError(
                "invalid_setting",
                f"metric f1: output is {self.output!r} without a threshold; the highest value is always that of the "
                "first output: add threshold, or leave output out",
            )

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        return Reduction(reducer="argmax" if self.threshold is None else "full")

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> F1Answers:
        """Set answers against labels; ``outputs`` holds ``argmax`` int64 [N], or floats with a threshold.

        Raises:
            TaskError: outputs that do not fit the labels.
        """
        labels = class_labels(truth)
        if self.threshold is None:
            predicted = class_answers(outputs, labels.shape)
        else:
            name, scores = finite_output(outputs, self.output, labels.size)
            if scores.size != labels.size:
                raise TaskError(
                    "invalid_outputs",
                    f"output {name!r} has the shape {list(scores.shape)} and a threshold needs one score a sample; "
                    "leave threshold out, or name the output with the score",
                )
            predicted = (scores.reshape(-1) >= self.threshold).astype(np.int64)
        classes, numbers = np.unique(np.concatenate((labels, predicted)), return_inverse=True)
        return F1Answers(
            sample_count=labels.size,
            classes=classes,
            labels=numbers[: labels.size],
            predicted=numbers[labels.size :],
            average=self.average,
            positive=self.positive,
        )

    def undefined_reason(self, truth: Mapping[str, NDArray[Any]]) -> str | None:
        """Return why no right answers to these labels have a score: none of them is the positive class."""
        labels = class_labels(truth)
        if self.average == "binary" and not np.any(labels == self.positive):
            return f"no sample has the label {self.positive}, which is to be the positive one; correct positive"
        return None if labels.size else "there are no labels; add samples"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class F1Answers:
    """Labels and answers as places in ``classes`` (ascending; below 0 is no class), int64 [N] each."""

    sample_count: int
    classes: NDArray[np.int64]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    average: str
    positive: int

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the score; None when no class occurs."""
        weights = sample_counts(counts, self.sample_count).astype(np.float64)
        size = self.classes.size
        hits = np.bincount(self.labels, weights * (self.labels == self.predicted), minlength=size)
        occurrences = np.bincount(self.labels, weights, minlength=size)
        occurrences += np.bincount(self.predicted, weights, minlength=size)
        if self.average == "micro":
            total = float(np.sum(occurrences[self.classes >= 0]))
            return 2.0 * float(np.sum(hits)) / total if total else None
        counted = (occurrences > 0) & (self.classes >= 0)
        if self.average == "binary":
            counted &= self.classes == self.positive
        return float(np.mean(2.0 * hits[counted] / occurrences[counted])) if counted.any() else None
