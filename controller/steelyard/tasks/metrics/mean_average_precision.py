"""Mean average precision of a detector, as COCO has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import BOX_LABELS, BOX_SAMPLES, BOXES, Reduction
from steelyard.tasks.metrics.detection.detections import detections
from steelyard.tasks.metrics.detection.precision import PrecisionAnswers, TrueBoxes, ranked_answers
from steelyard.tasks.metrics.detection.settings import DetectionSettings
from steelyard.tasks.metrics.outputs import output_array, truth_array
from steelyard.tasks.metrics.settings import require_choice

# COCO's ten thresholds, to the last bit those of pycocotools.
_OVERLAPS = {"50:95": np.linspace(0.5, 0.95, 10), "50": np.array([0.5]), "75": np.array([0.75])}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanAveragePrecision(DetectionSettings):
    """Average precision, the mean over classes and overlaps (COCO's AP, Lin et al. 2014), as pycocotools computes it.

    101-point interpolation, boxes of any area, at most 100 detections of a class in a sample (and ``max_detections``
    of all classes). Crowd regions are not supported: leave their boxes out of the truth. ``overlap``: "50:95" for the
    mean over ten least overlaps from 0.5 to 0.95, "50" or "75" for one.
    """

    kind: ClassVar[str] = "map"
    label: ClassVar[str] = "mean average precision"
    unit: ClassVar[str] = "fraction"
    higher_is_better: ClassVar[bool] = True
    truth_arrays: ClassVar[tuple[str, ...]] = (BOXES, BOX_LABELS, BOX_SAMPLES)
    needs_parent_outputs: ClassVar[bool] = False

    overlap: str = "50:95"

    def __post_init__(self) -> None:
        DetectionSettings.__post_init__(self)
        require_choice(self.kind, "overlap", self.overlap, tuple(_OVERLAPS))

    @property
    def reduction(self) -> Reduction:
        """What the device has to send back."""
        return Reduction(reducer="full")

    def answers(self, truth: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> PrecisionAnswers:
        """Decode, suppress and match; ``outputs`` holds the outputs [N, ...] that the settings name.

        Raises:
            TaskError: outputs that do not fit the settings or the truth, NaN.
        """
        true = _true_boxes(truth)
        # Truth does not say how many samples there are: the last ones may have no box.
        _, first = output_array(outputs, self.first_output(), None)
        sample_count = first.shape[0]
        if true.samples.size and int(true.samples.max()) >= sample_count:
            raise TaskError(
                "lengths_differ",
                f"{sample_count} answers from the device for {true.samples.max() + 1} or more samples of the task; "
                "measure again, with a model whose outputs have one row a sample",
            )
        return ranked_answers(true, detections(self, outputs, sample_count), _OVERLAPS[self.overlap])

    def undefined_reason(self, truth: Mapping[str, NDArray[Any]]) -> str | None:
        """Return why no answers to this truth have a value: there is no box."""
        return None if _true_boxes(truth).samples.size else "the task has no true box; add samples with objects"


def _true_boxes(truth: Mapping[str, NDArray[Any]]) -> TrueBoxes:
    boxes = truth_array(truth, BOXES, dtypes="fiu", rank=2).astype(np.float64)
    labels = truth_array(truth, BOX_LABELS, dtypes="iu", rank=1).astype(np.int64)
    samples = truth_array(truth, BOX_SAMPLES, dtypes="iu", rank=1).astype(np.int64)
    if boxes.shape != (labels.size, 4) or samples.size != labels.size or np.any(samples < 0):
        raise TaskError(
            "invalid_truth",
            f"the truth has boxes {list(boxes.shape)}, {labels.size} labels and {samples.size} samples of boxes; store "
            "one label and the number of one sample (from 0) a box",
        )
    is_box = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
    if not is_box.all():
        first = int(np.flatnonzero(~is_box)[0])
        raise TaskError(
            "invalid_truth",
            f"the true box {first} is {boxes[first].tolist()}; store x1, y1, x2, y2 with x1 <= x2 and y1 <= y2",
        )
    return TrueBoxes(boxes=boxes, labels=labels, samples=samples)
