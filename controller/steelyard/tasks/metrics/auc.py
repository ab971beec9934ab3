"""Area under the ROC curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS
from steelyard.tasks.metrics.outputs import class_labels, finite_output
from steelyard.tasks.metrics.settings import require_choice, require_whole
from steelyard.tasks.metrics.weights import sample_counts
from steelyard.tasks.metrics.whole_output import WholeOutput

_SCORES = ("difference", "column", "softmax")
_MOST_CLASSES = 100_000
_EVERY_CLASS = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Auc(WholeOutput):
    """The area under the ROC curve: how often a positive sample scores above a negative one; a tie is half of that.

    Of two classes it is the area of class 1. Of more it is the mean over the classes that occur, each against the rest
    (macro, one against the rest; Provost and Domingos 2000, unweighted), unless ``positive`` names one class.

    ``output`` is the output with the scores, "" the first: [N, C], or [N] or [N, 1] for a model with one score, which
    is that of ``positive`` (class 1 if none is named). ``scores`` says what a class's score is: ``difference``, its
    output minus the highest other one, which orders logits and probabilities alike and is exact for two classes;
    ``column``, its output as it is, for models that end in a softmax; ``softmax``, its share, for logits of many
    classes.
    """

    kind: ClassVar[str] = "auc"
    label: ClassVar[str] = "area under the ROC curve"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (LABELS,)
    needs_parent_outputs: ClassVar[bool] = False

    positive: int = _EVERY_CLASS
    scores: str = "difference"

    def __post_init__(self) -> None:
        WholeOutput.__post_init__(self)
        require_whole(self.kind, "positive", self.positive, least=_EVERY_CLASS, most=_MOST_CLASSES)
        require_choice(self.kind, "scores", self.scores, _SCORES)

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> AucAnswers:
        """Order the samples by score; ``outputs`` holds floats [N, C], [N, 1] or [N].

        Raises:
            TaskError: outputs that do not fit the labels, NaN.
        """
        labels = class_labels(truth)
        name, array = finite_output(outputs, self.output, labels.size)
        if array.size == 0 or array.size != labels.size * (array.shape[-1] if array.ndim > 1 else 1):
            raise TaskError(
                "invalid_outputs",
                f"output {name!r} has the shape {list(array.shape)} and should be [N, CLASSES] or [N]; name the output "
                "with the scores (output = ...)",
            )
        scores = array.reshape(labels.size, -1).astype(np.float64)
        if scores.shape[1] == 1:
            positive = 1 if self.positive == _EVERY_CLASS else self.positive
            return AucAnswers(sample_count=labels.size, classes=(_ranked(scores[:, 0], labels == positive),))
        self._check_classes(labels, scores.shape[1], name)
        classes = tuple(
            _ranked(_class_scores(scores, number, self.scores), labels == number)
            for number in self._classes(labels, scores.shape[1])
        )
        return AucAnswers(sample_count=labels.size, classes=classes)

    def undefined_reason(self, truth: Mapping[str, NDArray[Any]]) -> str | None:
        """Return why no answers to these labels have an area: they are all of one class."""
        classes = np.unique(class_labels(truth))
        if self.positive != _EVERY_CLASS and self.positive not in classes:
            return f"no sample has the label {self.positive}, which is to be the positive one; correct positive"
        if classes.size < 2:
            found = f"all labels are {classes[0]}" if classes.size else "there are no labels"
            return f"{found}, and an area under the ROC curve needs two classes; add samples of another class"
        return None

    def _check_classes(self, labels: NDArray[np.int64], class_count: int, name: str) -> None:
        highest = max(int(labels.max()), self.positive)
        if highest >= class_count or int(labels.min()) < 0:
            raise TaskError(
                "invalid_outputs",
                f"output {name!r} has scores of {class_count} classes and the task has labels from {labels.min()} to "
                f"{highest}; name the output with the scores, or correct the labels",
            )

    def _classes(self, labels: NDArray[np.int64], class_count: int) -> list[int]:
        if self.positive != _EVERY_CLASS:
            return [self.positive]
        return [1] if class_count == 2 else [int(number) for number in np.unique(labels)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedScores:
    """One class against the rest, in ascending order of score.

    ``order`` int64 [N] are the samples in that order, ``is_positive`` bool [N] belongs to it, and ``tie_ends`` int64
    [G] is the last place of each group of equal scores.
    """

    order: NDArray[np.int64]
    is_positive: NDArray[np.bool_]
    tie_ends: NDArray[np.int64]

    def area(self, counts: NDArray[np.int64]) -> float | None:
        """Return the share of pairs in order (Mann and Whitney 1947), summed in whole numbers; None without pairs."""
        weights = counts[self.order]
        positive = weights * self.is_positive
        positives_to = np.cumsum(positive)[self.tie_ends]
        negatives_to = np.cumsum(weights - positive)[self.tie_ends]
        pairs = int(positives_to[-1]) * int(negatives_to[-1])
        if pairs == 0:
            return None
        positives = np.diff(positives_to, prepend=0)
        negatives_below = np.concatenate((np.zeros(1, np.int64), negatives_to[:-1]))
        return int(np.sum(positives * (negatives_below + negatives_to))) / (2 * pairs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AucAnswers:
    """The ranked scores of each class that is set against the rest."""

    sample_count: int
    classes: tuple[RankedScores, ...]

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the area, the mean over the classes that have one; None when none has."""
        weights = sample_counts(counts, self.sample_count)
        areas = [area for ranked in self.classes if (area := ranked.area(weights)) is not None]
        return float(np.mean(areas)) if areas else None


def _ranked(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> RankedScores:
    order = np.argsort(scores, kind="stable")
    in_order = scores[order]
    tie_ends = np.append(np.flatnonzero(in_order[1:] != in_order[:-1]), in_order.size - 1)
    return RankedScores(order=order, is_positive=is_positive[order], tie_ends=tie_ends)


def _class_scores(scores: NDArray[np.float64], number: int, form: str) -> NDArray[np.float64]:
    own: NDArray[np.float64] = scores[:, number]
    if form == "column":
        return own
    if form == "difference":
        difference: NDArray[np.float64] = own - np.delete(scores, number, axis=1).max(axis=1)
        return difference
    from scipy.special import logsumexp

    # The logarithm of the share orders as the share does, without rounding far ones to 0 and 1.
    log_share: NDArray[np.float64] = own - logsumexp(scores, axis=1)
    return log_share
