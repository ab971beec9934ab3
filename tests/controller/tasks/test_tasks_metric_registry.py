"""Metrics are found by kind; what a task file says of them is checked, and goes through JSON unchanged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import Metric
from steelyard.tasks.metrics.registry import metric, metric_kinds, metric_settings_json, undefined_reason

_NEEDED: dict[str, dict[str, object]] = {"edit-distance": {"alphabet": "abc"}}
_BLAZE_FACE: dict[str, object] = {
    "decode": "anchors",
    "boxes": ["regressors"],
    "scores": ["classificators"],
    "image_size": [128, 128],
    "strides": [8, 16],
    "anchors": [[[128, 128], [128, 128]], [[128, 128]] * 6],
    "variances": [0.0078125, 0.0078125],
    "size_coding": "linear",
    "score_form": "logits",
}


@pytest.mark.parametrize("kind", metric_kinds())
def test_every_metric_keeps_the_contract(kind: str) -> None:
    found = metric(kind, _NEEDED.get(kind))
    assert found.kind == kind
    assert found.label
    assert found.unit in {"fraction", "", "dB"}
    assert found.reduction.reducer in {"argmax", "top_k", "full"}
    assert (found.truth_arrays == ()) == found.needs_parent_outputs


@pytest.mark.parametrize("kind", metric_kinds())
def test_settings_go_through_json_unchanged(kind: str) -> None:
    found = metric(kind, _NEEDED.get(kind))
    text = metric_settings_json(found)
    assert metric(kind, json.loads(text)) == found
    assert metric_settings_json(metric(kind, json.loads(text))) == text


def test_nested_lists_go_through_json_unchanged() -> None:
    found = metric("map", _BLAZE_FACE)
    assert metric("map", json.loads(metric_settings_json(found))) == found
    assert hash(found) == hash(metric("map", _BLAZE_FACE))


def test_equal_settings_have_one_text() -> None:
    whole, real = metric("map", {"nms_overlap": 1}), metric("map", {"nms_overlap": 1.0})
    assert metric_settings_json(whole) == metric_settings_json(real)


def test_a_misspelt_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"did you mean 'top1'\?") as refusal:
        metric("topp1")
    assert refusal.value.reason == "unknown_metric"


def test_a_misspelt_setting_is_refused_with_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"unknown key 'averag'; did you mean 'average'\?") as refusal:
        metric("f1", {"averag": "macro"})
    assert refusal.value.reason == "unknown_key"


def test_a_setting_of_a_metric_without_settings_is_refused() -> None:
    with pytest.raises(TaskError, match="top1 has no settings"):
        metric("top1", {"k": 1})


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("topk", {"k": 0}, "k is 0; write a whole number from 1 to 1000"),
        ("topk", {"k": True}, "k is True"),
        ("auc", {"scores": "columns"}, "did you mean 'column'?"),
        ("auc", {"positive": -2}, "positive is -2"),
        ("f1", {"average": 1}, "average is 1; write one of macro, micro, binary in quotes"),
        ("f1", {"threshold": "high"}, "threshold is 'high'; write a number"),
        ("f1", {"threshold": 10**400}, "write a number"),
        ("f1", {"output": "y"}, "without a threshold"),
        ("edit-distance", {}, "there is no alphabet"),
        ("edit-distance", {"alphabet": "aba"}, "list of different texts"),
        ("edit-distance", {"alphabet": 7}, "list of different texts"),
        ("edit-distance", {"alphabet": "ab", "blank": 3}, "from -1 to 2"),
        ("edit-distance", {"alphabet": "ab", "output": "y"}, "output_form"),
        ("rmse", {"output": 3}, "write a text in quotes"),
        ("miou", {"class_axis": 2}, "class_axis is 2; write 1"),
        ("miou", {"output": "y"}, "leave output out"),
        ("map", {"decode": "yolov8"}, "did you mean 'yolo'?"),
        ("map", {"strides": [8]}, "does not read strides, which belongs to anchors"),
        ("map", {"normalised": True}, "image_size is (); write a list of 2 numbers above 0"),
        ("map", {"normalised": 1}, "normalised is 1; write true or false"),
        ("map", {"decode": "boxes"}, 'boxes = ["..."] and scores = ["..."]'),
        ("map", {"overlap": "60"}, "overlap is '60'"),
        ("map", {"max_detections": 10_000}, "from 1 to 1000"),
        ("map", _BLAZE_FACE | {"strides": [8]}, "1 strides need as many lists"),
        ("map", _BLAZE_FACE | {"strides": [8.5, 16]}, "write whole numbers"),
        ("map", _BLAZE_FACE | {"sizes": [[8], [8]]}, "write one of them"),
        ("map", _BLAZE_FACE | {"aspect_ratios": [2.0]}, "leave aspect_ratios out"),
        ("map", _BLAZE_FACE | {"anchors": [[[8, 8]], []]}, "the stride 16 has no anchor"),
        ("map", _BLAZE_FACE | {"anchors": [[8, 8], [8, 8]]}, "anchors[0] is 8.0; write a list of 2 numbers above 0"),
        ("map", _BLAZE_FACE | {"box_form": "xyxy"}, "offsets from anchors are of centres and sizes"),
        ("map", _BLAZE_FACE | {"image_size": [10**6, 10**6]}, "at most 1000000 are taken"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_a_sentence(
    kind: str, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(TaskError) as refusal:
        metric(kind, settings)
    assert said in str(refusal.value)
    assert refusal.value.reason == "invalid_setting"


def _undefined() -> list[tuple[Metric, dict[str, np.ndarray[Any, Any]], str]]:
    none = np.zeros(0, np.int64)
    no_box = {"boxes": np.zeros((0, 4), np.float32), "box_labels": none, "box_samples": none}
    return [
        (metric("auc"), {"labels": np.full(4, 3)}, "all labels are 3"),
        (metric("auc", {"positive": 2}), {"labels": np.arange(2)}, "no sample has the label 2"),
        (metric("f1", {"average": "binary"}), {"labels": np.zeros(3, np.int64)}, "no sample has the label 1"),
        (metric("edit-distance", {"alphabet": "a"}), {"texts": np.array(["", ""])}, "not one character in all"),
        (metric("r2"), {"targets": np.array([[1.0, 2.0], [1.0, 3.0]])}, "same value in every sample"),
        (metric("miou"), {"masks": np.full((2, 3, 3), 255)}, "every pixel"),
        (metric("map"), no_box, "no true box"),
    ]


@pytest.mark.parametrize(("found", "truth", "said"), _undefined(), ids=lambda value: getattr(value, "kind", ""))
def test_truth_that_leaves_a_metric_without_a_value_is_said_beforehand(
    found: Metric, truth: dict[str, np.ndarray[Any, Any]], said: str
) -> None:
    assert said in (undefined_reason(found, truth) or "")


def test_truth_that_defines_a_metric_gives_no_reason() -> None:
    assert undefined_reason(metric("auc"), {"labels": np.array([0, 1])}) is None
    assert undefined_reason(metric("r2"), {"targets": np.array([1.0, 2.0])}) is None
    assert undefined_reason(metric("top1"), {"labels": np.zeros(2, np.int64)}) is None


def test_truth_without_the_array_of_a_metric_is_refused() -> None:
    with pytest.raises(TaskError, match=r"no array 'masks', only labels"):
        undefined_reason(metric("miou"), {"labels": np.zeros(2, np.int64)})
