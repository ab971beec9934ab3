"""Accuracy: whether the label's class is the highest output, or among the k highest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS, BinaryAnswers, Reduction
from steelyard.tasks.metrics.outputs import class_answers, class_labels, described, require_sample_count
from steelyard.tasks.metrics.settings import require_whole

_MOST_TOP = 1000


class _OfLabels:
    """What the shares of right answers have in common."""

    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (LABELS,)
    needs_parent_outputs: ClassVar[bool] = False

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Top1(_OfLabels):
    """The share of samples whose highest output is the label's class; scores that are all NaN are a wrong answer."""

    kind: ClassVar[str] = "top1"
    label: ClassVar[str] = "top-1 accuracy"

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        return Reduction(reducer="argmax")

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> BinaryAnswers:
        """Say which samples are right; ``outputs`` holds ``argmax`` int64 [N].

        Raises:
            TaskError: outputs that do not fit the labels.
        """
        labels = class_labels(truth)
        return BinaryAnswers(correct=class_answers(outputs, labels.shape) == labels)


class _AmongHighest(_OfLabels):
    """Whether the label is among the highest outputs."""

    __slots__ = ()

    @property
    def _most(self) -> int:
        raise NotImplementedError

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        return Reduction(reducer="top_k", top_count=self._most)

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> BinaryAnswers:
        """Say which samples are right; ``outputs`` holds ``indices`` int64 and ``scores`` [N, k].

        Raises:
            TaskError: outputs that do not fit the labels.
        """
        return _among_highest(class_labels(truth), outputs, self._most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Top5(_AmongHighest):
    """The share of samples whose label is among the five highest outputs."""

    kind: ClassVar[str] = "top5"
    label: ClassVar[str] = "top-5 accuracy"

    @property
    def _most(self) -> int:
        return 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK(_AmongHighest):
    """The share of samples whose label is among the ``k`` highest outputs."""

    kind: ClassVar[str] = "topk"
    label: ClassVar[str] = "top-k accuracy"

    k: int = 5

    def __post_init__(self) -> None:
        require_whole(self.kind, "k", self.k, least=1, most=_MOST_TOP)

    @property
    def _most(self) -> int:
        return self.k


def _among_highest(labels: NDArray[np.int64], outputs: Mapping[str, NDArray[Any]], most: int) -> BinaryAnswers:
    """Say whether each label is among the best; a model of fewer classes gives fewer, and NaN is no answer."""
    indices, scores = outputs.get("indices"), outputs.get("scores")
    fits = (
        indices is not None
        and scores is not None
        and indices.dtype == np.int64
        and scores.dtype.kind in "biuf"
        and indices.shape == scores.shape
        and indices.ndim == 2
        and 1 <= indices.shape[1] <= most
    )
    if indices is None or scores is None or not fits:
        found = ", ".join(f"{name} {described(array)}" for name, array in outputs.items()) or "nothing"
        raise TaskError(
            "invalid_outputs",
            f"the device sent {found} and should have sent indices int64 and scores of the shape "
            f"[{labels.size}, {most}]; measure again",
        )
    require_sample_count(indices, labels.size, "indices")
    is_number = ~np.isnan(scores) if scores.dtype.kind == "f" else np.ones(scores.shape, dtype=np.bool_)
    return BinaryAnswers(correct=np.any((indices == labels[:, None]) & is_number, axis=1))
