"""Boxes from a detector's outputs: planted boxes, written as each kind of head writes them, come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.detection.anchors import anchor_boxes, anchor_shapes
from steelyard.tasks.metrics.detection.boxes import BOX_FORMS, corners, overlaps
from steelyard.tasks.metrics.detection.detections import detections
from steelyard.tasks.metrics.detection.suppression import kept_boxes
from steelyard.tasks.metrics.mean_average_precision import MeanAveragePrecision

# Two boxes in each of two images of 64 x 32 pixels, and the class of each.
_CORNERS = np.array([[[8, 4, 24, 12], [40, 8, 56, 24]], [[0, 0, 16, 16], [32, 4, 48, 28]]], np.float32)
_CLASSES = np.array([[0, 2], [1, 1]])
_SCORES = np.array([[0.75, 0.5], [0.875, 0.25]], np.float32)


def _written(boxes: np.ndarray[Any, Any], form: str) -> np.ndarray[Any, Any]:
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    parts = {
        "xyxy": (x1, y1, x2, y2),
        "yxyx": (y1, x1, y2, x2),
        "xywh": (x1, y1, x2 - x1, y2 - y1),
        "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        "cycxhw": ((y1 + y2) / 2, (x1 + x2) / 2, y2 - y1, x2 - x1),
    }
    return np.stack(parts[form], axis=-1)


def _class_scores(class_count: int = 3) -> np.ndarray[Any, Any]:
    return (np.eye(class_count, dtype=np.float32)[_CLASSES] * _SCORES[..., None]).astype(np.float32)


def _logit(shares: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    clipped = np.clip(shares.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.log(clipped / (1 - clipped)).astype(np.float32)


def _require_planted(metric: MeanAveragePrecision, outputs: dict[str, np.ndarray[Any, Any]]) -> None:
    found = detections(metric, outputs, 2)
    assert found.samples.tolist() == [0, 0, 1, 1]
    assert found.labels.tolist() == [0, 2, 1, 1]
    np.testing.assert_allclose(found.scores, _SCORES.ravel(), atol=1e-6)
    np.testing.assert_allclose(found.boxes, _CORNERS.reshape(4, 4), atol=1e-4)


@pytest.mark.parametrize("form", BOX_FORMS)
def test_every_form_of_a_box_becomes_its_corners(form: str) -> None:
    np.testing.assert_allclose(corners(_written(_CORNERS, form), form), _CORNERS)


@pytest.mark.parametrize("is_channels_first", [True, False])
@pytest.mark.parametrize("score_form", ["probabilities", "logits"])
def test_yolo_heads_come_back(is_channels_first: bool, score_form: str) -> None:
    # Empty places beside the planted ones, so that there are more places than values a place.
    rows = np.zeros((2, 12, 7), np.float32)
    rows[:, 3:5, :4], rows[:, 3:5, 4:] = _written(_CORNERS, "cxcywh"), _class_scores()
    if score_form == "logits":
        rows[..., 4:] = _logit(rows[..., 4:])
    output = rows.transpose(0, 2, 1) if is_channels_first else rows
    _require_planted(MeanAveragePrecision(score_form=score_form), {"y": output})


def test_yolo_boxes_as_shares_of_the_image_come_back() -> None:
    rows = np.zeros((2, 9, 7), np.float32)
    rows[:, :2, :4] = _written(_CORNERS / np.array([64, 32, 64, 32], np.float32), "cxcywh")
    rows[:, :2, 4:] = _class_scores()
    metric = MeanAveragePrecision(normalised=True, image_size=(32, 64), output="b")
    _require_planted(metric, {"a": np.zeros((2, 1), np.float32), "b": rows})


def test_yolo_heads_with_objectness_multiply_it() -> None:
    rows = np.zeros((2, 9, 8), np.float32)
    rows[:, :2, :4], rows[:, :2, 4] = _written(_CORNERS, "cxcywh"), 0.5
    rows[:, :2, 5:] = np.minimum(_class_scores() * 2, 1.75)
    with pytest.raises(TaskError, match="so that they are no probabilities"):
        detections(MeanAveragePrecision(objectness=True), {"y": rows}, 2)
    rows[:, :2, 4], rows[:, :2, 5:] = 1.0, _class_scores()
    _require_planted(MeanAveragePrecision(objectness=True), {"y": rows})
    rows[..., 4:] = _logit(rows[..., 4:])
    _require_planted(MeanAveragePrecision(objectness=True, score_form="logits"), {"y": rows})


def test_a_class_count_tells_places_from_values() -> None:
    square = np.zeros((2, 7, 7), np.float32)
    square[:, :4, :2], square[:, 4:, :2] = (
        _written(_CORNERS, "cxcywh").transpose(0, 2, 1),
        _class_scores().transpose(0, 2, 1),
    )
    _require_planted(MeanAveragePrecision(class_count=3), {"y": square})
    with pytest.raises(TaskError, match="add class_count"):
        detections(MeanAveragePrecision(), {"y": square}, 2)


def test_a_background_column_and_an_offset_of_classes_are_taken_away() -> None:
    scores = np.concatenate((np.full((2, 2, 1), 0.9, np.float32), _class_scores()), axis=2)
    metric = MeanAveragePrecision(decode="boxes", boxes=("b",), scores=("s",), background=0)
    _require_planted(metric, {"b": _CORNERS, "s": scores})
    metric = MeanAveragePrecision(decode="boxes", boxes=("b",), scores=("s",), classes="c", class_offset=1)
    _require_planted(metric, {"b": _CORNERS, "s": _SCORES, "c": (_CLASSES + 1).astype(np.float32)})


def test_the_softmax_of_scores_counts_the_background() -> None:
    shares = np.concatenate((1 - _SCORES[..., None], _class_scores()), axis=2)
    metric = MeanAveragePrecision(decode="boxes", boxes=("b",), scores=("s",), background=0, score_form="softmax")
    _require_planted(metric, {"b": _CORNERS, "s": np.log(np.maximum(shares, 1e-12)) + 3})


def test_decoded_boxes_beyond_their_count_or_of_the_background_are_left_out() -> None:
    padded = np.concatenate((_CORNERS, _CORNERS + 2), axis=1)
    outputs = {
        "b": _written(padded / np.array([64, 32, 64, 32], np.float32), "yxyx"),
        "s": np.concatenate((_SCORES, np.full((2, 2), 0.99, np.float32)), axis=1),
        "c": np.concatenate((_CLASSES, np.full((2, 2), 5)), axis=1).astype(np.float32),
    }
    names = {"decode": "boxes", "boxes": ("b",), "scores": ("s",), "classes": "c", "box_form": "yxyx"}
    metric = MeanAveragePrecision(**names, normalised=True, image_size=(32, 64), detection_count="n")
    _require_planted(metric, outputs | {"n": np.array([2.0, 2.0], np.float32)})
    _require_planted(MeanAveragePrecision(**names, normalised=True, image_size=(32, 64), background=5), outputs)
    with pytest.raises(TaskError, match="one number from 0 to 4 a sample"):
        detections(metric, outputs | {"n": np.array([2.0, 5.0], np.float32)}, 2)


def test_anchors_of_ssd_come_back_in_order() -> None:
    shapes = anchor_shapes(((16.0,), (32.0,)), (1.0, 4.0))
    anchors = anchor_boxes((32, 64), (16, 32), shapes, 0.5)
    assert anchors[:3].tolist() == [[8, 8, 16, 16], [8, 8, 32, 8], [24, 8, 16, 16]]
    assert anchors[-1].tolist() == [48, 16, 64, 16]
    assert len(anchors) == 2 * (4 * 2 + 2 * 1)
    # Each planted box is written as an offset from an anchor of its own, the rest as nothing.
    offsets, scores = np.zeros((2, len(anchors), 4)), np.zeros((2, len(anchors), 3), np.float32)
    places = np.array([5, 18])
    target = _written(_CORNERS, "cxcywh").astype(np.float64)
    offsets[:, places, :2] = (target[..., :2] - anchors[places, :2]) / anchors[places, 2:] / 0.1
    offsets[:, places, 2:] = np.log(target[..., 2:] / anchors[places, 2:]) / 0.2
    scores[:, places] = _class_scores()
    names = {"decode": "anchors", "scores": ("s",), "image_size": (32, 64), "strides": (16, 32)}
    metric = MeanAveragePrecision(**names, boxes=("b",), sizes=((16.0,), (32.0,)), aspect_ratios=(1.0, 4.0))
    _require_planted(metric, {"b": offsets.astype(np.float32), "s": scores})
    # As TensorFlow's detection models write them: y before x, each level an output of its own.
    turned = offsets[..., [1, 0, 3, 2]].astype(np.float32)
    metric = MeanAveragePrecision(**names, boxes=("b1", "b2"), anchors=shapes, box_form="cycxhw")
    _require_planted(metric, {"b1": turned[:, :16], "b2": turned[:, 16:], "s": scores})


def test_anchors_of_blaze_face_are_896_and_linear() -> None:
    # MediaPipe's face_detection_short_range: fixed anchors, offsets in pixels, 16 values a place of which 4 are a box.
    metric = MeanAveragePrecision(
        decode="anchors",
        boxes=("regressors",),
        scores=("classificators",),
        image_size=(128, 128),
        strides=(8, 16),
        anchors=(((128.0, 128.0),) * 2, ((128.0, 128.0),) * 6),
        variances=(1 / 128, 1 / 128),
        size_coding="linear",
        score_form="logits",
    )
    regressors, logits = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -20.0, np.float32)
    # Place 514 is in the second level, the third anchor of its first cell, whose centre is at 8, 8.
    regressors[0, 514, :4], logits[0, 514] = (3.0, -2.0, 40.0, 20.0), 2.0
    found = detections(metric, {"regressors": regressors, "classificators": logits}, 1)
    assert found.boxes.tolist() == [[0.0, 0.0, 31.0, 16.0]]
    with pytest.raises(TaskError, match="the settings make 896 anchors, and the model gives 895 boxes and 896"):
        detections(metric, {"regressors": regressors[:, 1:], "classificators": logits}, 1)


def test_a_huge_offset_makes_no_infinite_box() -> None:
    metric = MeanAveragePrecision(
        decode="anchors", boxes=("b",), scores=("s",), image_size=(16, 16), strides=(16,), sizes=((16.0,),)
    )
    found = detections(metric, {"b": np.full((1, 1, 4), 1e30, np.float32), "s": np.ones((1, 1, 1), np.float32)}, 1)
    assert np.isfinite(found.boxes).all()


def _plain_suppression(
    boxes: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], most_overlap: float
) -> list[int]:
    kept: list[int] = []
    for place in sorted(range(len(boxes)), key=lambda number: (-scores[number], number)):
        same = [other for other in kept if labels[other] == labels[place]]
        if all(overlaps(boxes[place : place + 1], boxes[other : other + 1])[0, 0] <= most_overlap for other in same):
            kept.append(place)
    return kept


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 25))
@settings(max_examples=60, deadline=None)
def test_suppression_agrees_with_one_box_at_a_time(seed: int, most_overlap: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 8, (count, 2)).astype(np.float64)
    boxes = np.concatenate((corner, corner + rng.integers(1, 8, (count, 2))), axis=1)
    scores, labels = rng.integers(0, 4, count) / 4, rng.integers(0, 2, count)
    kept = kept_boxes(boxes, scores, labels, most_overlap=most_overlap, most_kept=1000)
    assert kept.tolist() == _plain_suppression(boxes, scores, labels, most_overlap)
    fewer = kept_boxes(boxes, scores, labels, most_overlap=most_overlap, most_kept=5)
    assert fewer.tolist() == kept.tolist()[:5]


def test_thresholds_and_limits_hold() -> None:
    outputs = {"b": _CORNERS, "s": _class_scores()}
    names = {"decode": "boxes", "boxes": ("b",), "scores": ("s",)}
    assert detections(MeanAveragePrecision(**names, score_threshold=0.5), outputs, 2).scores.size == 3
    assert detections(MeanAveragePrecision(**names, max_detections=1), outputs, 2).samples.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("settings_", "outputs", "said"),
    [
        ({}, {"y": np.zeros((2, 7), np.float32)}, r"\[2, 7\] and should have"),
        ({}, {"y": np.zeros((2, 4, 90), np.float32)}, "5 values a place"),
        ({"class_count": 3}, {"y": np.zeros((2, 6, 90), np.float32)}, "7 values a place"),
        ({}, {"y": np.zeros((2, 7, 90), np.int8)}, "is int8"),
        ({}, {"y": np.full((2, 7, 90), np.nan, np.float32)}, "are NaN"),
        ({}, {"y": np.zeros((3, 7, 90), np.float32)}, "3 answers"),
        ({}, {"y": np.full((2, 7, 90), 8.0, np.float32)}, "so that they are no probabilities"),
        ({"output": "z"}, {"y": np.zeros((2, 7, 90), np.float32)}, "no output 'z', only y"),
        ("boxes", {"b": np.zeros((2, 5, 3), np.float32), "s": np.zeros((2, 5), np.float32)}, "4 or more"),
        ("boxes", {"b": np.zeros((2, 5, 4), np.float32), "s": np.zeros((2, 6), np.float32)}, "belong together"),
        ("boxes", {"b": np.zeros((2, 5, 4), np.float32), "s": np.zeros(2, np.float32)}, "1 or more"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(
    settings_: dict[str, Any] | str, outputs: dict[str, np.ndarray[Any, Any]], said: str
) -> None:
    given_ = settings_ if isinstance(settings_, dict) else {"decode": settings_, "boxes": ("b",), "scores": ("s",)}
    with pytest.raises(TaskError, match=said):
        detections(MeanAveragePrecision(**given_), outputs, 2)
