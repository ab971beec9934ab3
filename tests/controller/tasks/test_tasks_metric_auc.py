"""The area under the ROC curve: against scikit-learn, ties included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.registry import metric


def _drawn(seed: int, class_count: int, *, ties: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate((np.arange(class_count), rng.integers(0, class_count, 90)))
    logits = rng.standard_normal((labels.size, class_count)) + 0.8 * np.eye(class_count)[labels]
    return labels, (np.round(logits, 1) if ties else logits).astype(np.float32)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_two_classes_agree_with_scikit_learn(seed: int, ties: bool) -> None:
    labels, logits = _drawn(seed, 2, ties=ties)
    # float64 differences of the rounded logits: what is equal in one is equal in the other.
    expected = roc_auc_score(labels, logits[:, 1].astype(np.float64) - logits[:, 0])
    assert metric("auc").answers({"labels": labels}, {"y": logits}).value() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_score_a_sample_is_that_of_class_1(shape: tuple[int, ...]) -> None:
    labels, logits = _drawn(5, 2, ties=True)
    value = metric("auc").answers({"labels": labels}, {"y": logits[:, 1].reshape(shape)}).value()
    assert value == pytest.approx(roc_auc_score(labels, logits[:, 1]), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_many_classes_agree_with_scikit_learn_one_against_the_rest(seed: int) -> None:
    labels, logits = _drawn(seed, 5, ties=False)
    shares = softmax(logits.astype(np.float64), axis=1)
    expected = roc_auc_score(labels, shares, multi_class="ovr", average="macro")
    of_logits = metric("auc", {"scores": "softmax"}).answers({"labels": labels}, {"y": logits})
    assert of_logits.value() == pytest.approx(expected, abs=1e-12)
    of_shares = metric("auc", {"scores": "column"}).answers({"labels": labels}, {"y": shares})
    assert of_shares.value() == pytest.approx(expected, abs=1e-12)


def test_one_class_of_many_can_be_named() -> None:
    labels, logits = _drawn(6, 4, ties=False)
    found = metric("auc", {"positive": 2, "scores": "column", "output": "b"})
    value = found.answers({"labels": labels}, {"a": np.zeros((labels.size, 3), np.float32), "b": logits}).value()
    assert value == pytest.approx(roc_auc_score(labels == 2, logits[:, 2]), abs=1e-12)


def test_scores_without_a_difference_are_worth_one_half() -> None:
    answers = metric("auc").answers({"labels": np.array([0, 1, 1, 0])}, {"y": np.zeros((4, 2), np.float32)})
    assert answers.value() == 0.5


def test_one_class_only_is_undefined() -> None:
    answers = metric("auc").answers({"labels": np.array([0, 1, 1])}, {"y": np.zeros((3, 2), np.float32)})
    assert answers.value(np.array([0, 1, 2])) is None


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (np.array([[0.0, np.nan]] * 3, np.float32), "3 of 6 values of output 'y' are NaN"),
        (np.array([[0.0, np.inf]] * 3, np.float32), "infinite"),
        (np.zeros((3, 2), np.int8), "is int8 and this metric needs floating-point values"),
        (np.zeros((2, 2), np.float32), "2 answers"),
        (np.zeros((3, 2, 2), np.float32), r"shape \[3, 2, 2\]"),
        (np.zeros((3, 0), np.float32), r"shape \[3, 0\]"),
        (np.array(1.0, np.float32), "1 answers"),
        (np.zeros((3, 4), np.float32), "labels from 0 to 5"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(output: np.ndarray[Any, Any], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        metric("auc").answers({"labels": np.array([0, 1, 5])}, {"y": output})


def test_an_output_that_is_not_there_is_refused() -> None:
    with pytest.raises(TaskError, match="no output 'z', only y"):
        metric("auc", {"output": "z"}).answers({"labels": np.array([0, 1])}, {"y": np.zeros((2, 2), np.float32)})
