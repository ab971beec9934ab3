"""Mean intersection over union of semantic segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import MASKS, Reduction
from steelyard.tasks.metrics.outputs import class_answers, class_output, finite_output, truth_array
from steelyard.tasks.metrics.settings import require_choice, require_text, require_whole
from steelyard.tasks.metrics.weights import sample_counts

_FORMS = ("scores", "classes")
_LAST_AXIS = -1
# One row of counts a sample; segmentation data sets have 20 to 150 classes (ADE20K).
_MOST_CLASSES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanIou:
    """The mean over the classes of intersection over union of their pixels, summed over all samples first.

    Classes that neither truth nor answers have are left out, and so are pixels whose true class is ``ignore_label``
    (255, as in Pascal VOC). The answer is the highest score along ``class_axis``: -1 for [N, H, W, C], 1 for
    [N, C, H, W], whose scores travel whole. ``output_form`` ``classes`` is for a model that takes the highest itself,
    [N, H, W]; ``output`` names the output then and with ``class_axis`` 1, "" the first.
    """

    kind: ClassVar[str] = "miou"
    label: ClassVar[str] = "mean intersection over union"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (MASKS,)
    needs_parent_outputs: ClassVar[bool] = False

    ignore_label: int = 255
    class_axis: int = _LAST_AXIS
    output_form: str = "scores"
    output: str = ""

    def __post_init__(self) -> None:
        require_whole(self.kind, "ignore_label", self.ignore_label, least=-1, most=2**31 - 1)
        require_choice(self.kind, "output_form", self.output_form, _FORMS)
        require_text(self.kind, "output", self.output)
        if isinstance(self.class_axis, bool) or self.class_axis not in (_LAST_AXIS, 1):
            raise TaskError(
                "invalid_setting",
                f"metric miou: class_axis is {self.class_axis!r}; write 1 for [N, C, H, W] or -1 for [N, H, W, C]",
            )
        if self.output and self.reduction.reducer == "argmax":
            raise TaskError(
                "invalid_setting",
                f"metric miou: output is {self.output!r} and scores [N, H, W, C] are always read from the first "
                "output; leave output out",
            )

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        is_reduced = self.output_form == "scores" and self.class_axis == _LAST_AXIS
        return Reduction(reducer="argmax" if is_reduced else "full")

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> IouAnswers:
        """Count pixels; ``outputs`` holds ``argmax`` int64 [N, H, W], class numbers, or scores [N, C, H, W].

        Raises:
            TaskError: outputs that do not fit the masks.
        """
        masks = self._masks(truth)
        predicted = self._predicted(outputs, masks)
        is_counted = masks != self.ignore_label
        classes = np.unique(np.concatenate((np.unique(masks[is_counted]), np.unique(predicted[is_counted]))))
        classes = classes[classes >= 0]
        if classes.size > _MOST_CLASSES:
            raise TaskError(
                "invalid_outputs",
                f"masks and answers have {classes.size} different classes and at most {_MOST_CLASSES} are counted; "
                'name the output with class scores, or write output_form = "classes" only for whole class numbers',
            )
        samples = np.broadcast_to(np.arange(masks.shape[0])[:, None, None], masks.shape)[is_counted]
        true, found = masks[is_counted], predicted[is_counted]
        return IouAnswers(
            intersections=_counts(samples[true == found], true[true == found], masks.shape[0], classes),
            true_pixels=_counts(samples, true, masks.shape[0], classes),
            found_pixels=_counts(samples[found >= 0], found[found >= 0], masks.shape[0], classes),
        )

    def undefined_reason(self, truth: Mapping[str, NDArray[Any]]) -> str | None:
        """Return why no answers to these masks have a value: every pixel is to be ignored."""
        if np.all(self._masks(truth) == self.ignore_label):
            return f"every pixel of the masks has the class {self.ignore_label}, ignore_label; correct the masks"
        return None

    def _masks(self, truth: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        masks = truth_array(truth, MASKS, dtypes="iu", rank=3).astype(np.int64, copy=False)
        if np.any((masks < 0) & (masks != self.ignore_label)):
            raise TaskError(
                "invalid_truth",
                f"the masks have the class {masks[masks != self.ignore_label].min()}; number classes from 0, and name "
                "the one to ignore (ignore_label)",
            )
        return masks

    def _predicted(self, outputs: Mapping[str, NDArray[Any]], masks: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.reduction.reducer == "argmax":
            return class_answers(outputs, masks.shape)
        if self.output_form == "classes":
            found = class_output(outputs, self.output, masks.shape[0])
            shape = found.shape
            found = found.reshape(masks.shape) if found.size == masks.size else found
        else:
            _, scores = finite_output(outputs, self.output, masks.shape[0])
            shape = scores.shape
            found = np.argmax(scores, axis=1).astype(np.int64) if scores.ndim == 4 else np.zeros(0, np.int64)
        if found.shape != masks.shape:
            raise TaskError(
                "invalid_outputs",
                f"the output has the shape {list(shape)} and the masks have {list(masks.shape)}; prepare the masks at "
                "the size of the model's output, or correct class_axis and output_form",
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IouAnswers:
    """Pixels of each sample and class, int64 [N, C] each."""

    intersections: NDArray[np.int64]
    true_pixels: NDArray[np.int64]
    found_pixels: NDArray[np.int64]

    @property
    def sample_count(self) -> int:
        """How many samples were answered."""
        return int(self.intersections.shape[0])

    def value(self, counts: NDArray[np.int64] | None = None) -> float | None:
        """Return the mean over the classes that occur; None when none does."""
        weights = sample_counts(counts, self.sample_count)
        intersections = weights @ self.intersections
        unions = weights @ self.true_pixels + weights @ self.found_pixels - intersections
        occurs = unions > 0
        return float(np.mean(intersections[occurs] / unions[occurs])) if occurs.any() else None


def _counts(
    samples: NDArray[np.int64], numbers: NDArray[np.int64], sample_count: int, classes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how many pixels of each class each sample has, int64 [N, C]."""
    places = samples * classes.size + np.searchsorted(classes, numbers)
    return np.bincount(places, minlength=sample_count * classes.size).reshape(sample_count, classes.size)
