"""Mean average precision: to the last digits that of pycocotools, on planted detections with many equal scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.detection.detections import Detections
from steelyard.tasks.metrics.detection.matching import matched
from steelyard.tasks.metrics.detection.precision import PrecisionAnswers, TrueBoxes, ranked_answers
from steelyard.tasks.metrics.mean_average_precision import MeanAveragePrecision
from steelyard.tasks.metrics.registry import metric
from tests.support.detection_data import coco_average_precision, planted_detections

_OVERLAPS = {"50:95": np.linspace(0.5, 0.95, 10), "50": np.array([0.5]), "75": np.array([0.75])}


def _answers(truth: dict[str, np.ndarray[Any, Any]], found: Detections, overlap: str) -> PrecisionAnswers:
    true = TrueBoxes(boxes=truth["boxes"].astype(np.float64), labels=truth["box_labels"], samples=truth["box_samples"])
    return ranked_answers(true, found, _OVERLAPS[overlap])


@pytest.mark.parametrize("seed", range(40))
def test_planted_detections_score_as_in_pycocotools(seed: int) -> None:
    sizes = np.random.default_rng(seed)
    truth, found = planted_detections(
        seed,
        sample_count=int(sizes.integers(1, 20)),
        class_count=int(sizes.integers(1, 5)),
        most_boxes=int(sizes.integers(1, 9)),
        most_false=int(sizes.integers(1, 15)),
    )
    for overlap, expected in coco_average_precision(truth, found).items():
        assert _answers(truth, found, overlap).value() == pytest.approx(expected, abs=1e-9)


def test_more_than_100_detections_of_a_class_are_cut_as_in_pycocotools() -> None:
    truth, found = planted_detections(7, sample_count=6, class_count=1, most_boxes=12, most_false=500)
    assert np.bincount(found.samples[found.labels == 0]).max() > 100
    expected = coco_average_precision(truth, found)["50:95"]
    assert _answers(truth, found, "50:95").value() == pytest.approx(expected, abs=1e-9)


def test_right_boxes_alone_score_1_and_wrong_ones_0() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 8, 8]], np.float32)
    truth = {"boxes": boxes, "box_labels": np.array([0, 1, 1]), "box_samples": np.array([0, 0, 2])}
    outputs = {
        "b": np.zeros((3, 2, 4), np.float32),
        "s": np.full((3, 2), 0.9, np.float32),
        "c": np.array([[0, 1], [3, 3], [1, 3]], np.float32),
    }
    outputs["b"][0], outputs["b"][2, 0] = boxes[:2], boxes[2]
    found = metric("map", {"decode": "boxes", "boxes": ["b"], "scores": ["s"], "classes": "c"})
    assert found.answers(truth, outputs).value() == 1.0
    assert found.answers(truth, outputs | {"b": outputs["b"] + 100}).value() == 0.0


def test_without_detections_or_true_boxes_the_value_is_0_or_none() -> None:
    truth, found = planted_detections(3)
    nothing = Detections(
        sample_count=found.sample_count,
        samples=found.samples[:0],
        labels=found.labels[:0],
        scores=found.scores[:0],
        boxes=found.boxes[:0],
    )
    assert _answers(truth, nothing, "50:95").value() == 0.0
    assert _answers({name: array[:0] for name, array in truth.items()}, found, "50:95").value() is None
    has_box = np.bincount(truth["box_samples"], minlength=found.sample_count) > 0
    assert _answers(truth, found, "50:95").value((~has_box).astype(np.int64)) is None


def test_of_equal_overlaps_the_last_box_is_taken() -> None:
    overlap = np.array([[0.6, 0.6, 0.4], [0.9, 0.55, 0.5]])
    hits = matched(overlap, np.array([0.5, 0.58]))
    # The second detection finds the first box free at both thresholds, because the first detection took the second.
    assert hits.tolist() == [[True, True], [True, True]]
    assert matched(np.array([[0.6, 0.0], [0.9, 0.0]]), np.array([0.5])).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ({"boxes": np.zeros((2, 3))}, r"boxes \[2, 3\], 1 labels and 1 samples"),
        ({"boxes": np.array([[5.0, 0, 1, 1]])}, r"true box 0 is \[5.0, 0.0, 1.0, 1.0\]"),
        ({"boxes": np.array([[np.nan, 0, 1, 1]])}, "true box 0"),
        ({"box_samples": np.array([-1])}, "number of one sample"),
        ({"box_labels": np.array([0.5])}, "array 'box_labels' is float64"),
    ],
)
def test_truth_that_makes_no_sense_is_refused(truth: dict[str, np.ndarray[Any, Any]], said: str) -> None:
    sound = {"boxes": np.array([[0.0, 0, 1, 1]]), "box_labels": np.array([0]), "box_samples": np.array([0])}
    with pytest.raises(TaskError, match=said) as refusal:
        MeanAveragePrecision().answers(sound | truth, {"y": np.zeros((1, 5, 9), np.float32)})
    assert refusal.value.reason == "invalid_truth"


def test_fewer_answers_than_samples_with_boxes_are_refused() -> None:
    truth = {"boxes": np.array([[0.0, 0, 1, 1]]), "box_labels": np.array([0]), "box_samples": np.array([4])}
    with pytest.raises(TaskError, match="2 answers from the device for 5 or more samples"):
        MeanAveragePrecision().answers(truth, {"y": np.zeros((2, 5, 9), np.float32)})
