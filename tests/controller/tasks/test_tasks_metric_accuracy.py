"""Accuracy and F1: against scikit-learn on drawn answers, and against a device that sends nonsense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, top_k_accuracy_score

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import BinaryAnswers
from steelyard.tasks.metrics.registry import metric


def _top(scores: np.ndarray[Any, Any], count: int) -> dict[str, np.ndarray[Any, Any]]:
    indices = np.argsort(-scores, axis=1, kind="stable")[:, :count].astype(np.int64)
    return {"indices": indices, "scores": np.take_along_axis(scores, indices, axis=1)}


def test_top1_says_which_samples_are_right() -> None:
    answers = metric("top1").answers({"labels": np.array([1, 0, 0, 2])}, {"argmax": np.array([1, 2, 0, -1])})
    assert isinstance(answers, BinaryAnswers)
    assert answers.correct.tolist() == [True, False, True, False]


@pytest.mark.parametrize(("kind", "settings", "count"), [("top5", {}, 5), ("topk", {"k": 3}, 3), ("topk", {"k": 1}, 1)])
def test_top_k_agrees_with_scikit_learn(kind: str, settings: dict[str, object], count: int) -> None:
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 9, 300), rng.standard_normal((300, 9)).astype(np.float32)
    found = metric(kind, settings)
    assert found.reduction.top_count == count
    value = found.answers({"labels": labels}, _top(scores, count)).value()
    assert value == pytest.approx(top_k_accuracy_score(labels, scores, k=count, labels=np.arange(9)), abs=1e-12)


def test_a_model_of_fewer_classes_than_k_is_always_right() -> None:
    labels, scores = np.array([0, 1, 2]), np.eye(3, dtype=np.float32)
    assert metric("top5").answers({"labels": labels}, _top(scores, 5)).value() == 1.0


def test_scores_that_are_nan_are_no_answer() -> None:
    outputs = {"indices": np.array([[0, 1], [1, 0]]), "scores": np.array([[np.nan, np.nan], [0.5, 0.1]], np.float32)}
    answers = metric("topk", {"k": 2}).answers({"labels": np.array([0, 0])}, outputs)
    assert isinstance(answers, BinaryAnswers)
    assert answers.correct.tolist() == [False, True]


@pytest.mark.parametrize("average", ["macro", "micro", "binary"])
@pytest.mark.parametrize("seed", range(5))
def test_f1_agrees_with_scikit_learn(average: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    class_count = 2 if average == "binary" else 6
    labels, predicted = rng.integers(0, class_count, 80), rng.integers(0, class_count, 80)
    value = metric("f1", {"average": average}).answers({"labels": labels}, {"argmax": predicted}).value()
    assert value == pytest.approx(f1_score(labels, predicted, average=average), abs=1e-12)


def test_f1_of_one_score_a_sample_takes_a_threshold() -> None:
    rng = np.random.default_rng(2)
    labels, scores = rng.integers(0, 2, 60), rng.random((60, 1)).astype(np.float32)
    found = metric("f1", {"average": "binary", "threshold": 0.25, "output": "p"})
    assert found.reduction.reducer == "full"
    value = found.answers({"labels": labels}, {"logits": np.zeros((60, 2), np.float32), "p": scores}).value()
    assert value == pytest.approx(f1_score(labels, scores[:, 0] >= 0.25), abs=1e-12)


def test_an_answer_of_no_class_is_wrong_and_is_no_class_of_its_own() -> None:
    answers = metric("f1").answers({"labels": np.array([0, 0, 1])}, {"argmax": np.array([0, -1, 1])})
    assert answers.value() == pytest.approx((2 / 3 + 1.0) / 2)


def test_f1_of_a_positive_class_that_never_occurs_is_undefined() -> None:
    found = metric("f1", {"average": "binary", "positive": 7})
    assert found.answers({"labels": np.zeros(3, np.int64)}, {"argmax": np.zeros(3, np.int64)}).value() is None


@pytest.mark.parametrize(
    ("kind", "outputs", "said"),
    [
        ("top1", {"argmax": np.zeros(2, np.int64)}, r"2 answers from the device in 'argmax' for 3 samples"),
        ("top1", {"argmax": np.zeros((3, 1), np.int64)}, r"int64 \[3, 1\] and should be int64 \[3\]"),
        ("top1", {"argmax": np.zeros(3, np.float32)}, r"is float32 \[3\]"),
        ("top1", {}, "is missing"),
        ("f1", {"argmax": np.zeros(4, np.int64)}, "4 answers"),
        ("top5", {"indices": np.zeros((3, 6), np.int64), "scores": np.zeros((3, 6))}, "should have sent indices"),
        ("top5", {"indices": np.zeros((3, 5), np.int64)}, "should have sent indices"),
        ("top5", {"indices": np.zeros((3, 5), np.int64), "scores": np.zeros((3, 4))}, "should have sent indices"),
        ("top5", {"indices": np.zeros((2, 5), np.int64), "scores": np.zeros((2, 5))}, "2 answers"),
    ],
)
def test_answers_of_another_form_are_refused(kind: str, outputs: dict[str, np.ndarray[Any, Any]], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        metric(kind).answers({"labels": np.zeros(3, np.int64)}, outputs)


@pytest.mark.parametrize("labels", [np.zeros(3, np.float32), np.zeros((3, 1), np.int64)])
def test_labels_that_are_no_class_numbers_are_refused(labels: np.ndarray[Any, Any]) -> None:
    with pytest.raises(TaskError, match="array 'labels' is") as refusal:
        metric("top1").answers({"labels": labels}, {"argmax": np.zeros(3, np.int64)})
    assert refusal.value.reason == "invalid_truth"
