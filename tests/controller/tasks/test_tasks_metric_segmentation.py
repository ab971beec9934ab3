"""Mean intersection over union: against a count pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.registry import metric


def _plain_mean_iou(masks: np.ndarray[Any, Any], found: np.ndarray[Any, Any], ignored: int) -> float:
    shares = []
    for number in sorted({*masks.ravel().tolist(), *found[masks != ignored].ravel().tolist()} - {ignored}):
        both = either = 0
        for true, answer in zip(masks.ravel(), found.ravel(), strict=True):
            if true != ignored:
                both += int(true == number and answer == number)
                either += int(number in (true, answer))
        shares.append(both / either)
    return float(np.mean(shares))


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_agrees_with_a_count_pixel_by_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.choice([0, 1, 2, 5, 255], (3, 6, 5)).astype(np.int64)
    found = rng.integers(0, 7, masks.shape)
    value = metric("miou").answers({"masks": masks}, {"argmax": found}).value()
    assert value == pytest.approx(_plain_mean_iou(masks, found, 255), abs=1e-12)


def test_scores_of_channels_first_are_read_whole() -> None:
    rng = np.random.default_rng(9)
    masks, scores = rng.integers(0, 3, (2, 4, 4)), rng.standard_normal((2, 3, 4, 4)).astype(np.float32)
    found = metric("miou", {"class_axis": 1, "output": "mask"})
    assert found.reduction.reducer == "full"
    value = found.answers({"masks": masks}, {"mask": scores}).value()
    assert value == metric("miou").answers({"masks": masks}, {"argmax": scores.argmax(axis=1)}).value()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_class_numbers_that_the_model_gives_are_taken(dtype: type) -> None:
    masks = np.array([[[0, 1], [2, 255]]])
    found = metric("miou", {"output_form": "classes"})
    answers = found.answers({"masks": masks}, {"y": np.array([[[[0], [1]], [[1], [9]]]]).astype(dtype)})
    assert answers.value() == pytest.approx((1.0 + 0.5 + 0.0) / 3)


def test_pixels_without_an_answer_are_wrong() -> None:
    answers = metric("miou").answers({"masks": np.array([[[0, 0]]])}, {"argmax": np.array([[[0, -1]]])})
    assert answers.value() == pytest.approx(0.5)


def test_masks_of_ignored_pixels_alone_are_undefined() -> None:
    answers = metric("miou").answers({"masks": np.full((1, 2, 2), 255)}, {"argmax": np.zeros((1, 2, 2), np.int64)})
    assert answers.value() is None


@pytest.mark.parametrize(
    ("settings", "outputs", "said"),
    [
        ({}, {"argmax": np.zeros((2, 3, 3), np.int64)}, "at the size of the model's output"),
        ({}, {"argmax": np.zeros((1, 4, 4), np.int64)}, "1 answers"),
        ({}, {"argmax": np.zeros((2, 4), np.int64)}, r"is int64 \[2, 4\]"),
        ({"class_axis": 1}, {"y": np.zeros((2, 4, 4, 3), np.float32)}, r"shape \[2, 4, 4, 3\]"),
        ({"class_axis": 1}, {"y": np.zeros((2, 16), np.float32)}, r"shape \[2, 16\]"),
        ({"output_form": "classes"}, {"y": np.zeros((2, 3, 3), np.int64)}, r"shape \[2, 3, 3\]"),
        ({"output_form": "classes"}, {"y": np.full((2, 4, 4), 0.5)}, "other values than class numbers"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(
    settings: dict[str, object], outputs: dict[str, np.ndarray[Any, Any]], said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        metric("miou", settings).answers({"masks": np.zeros((2, 4, 4), np.int64)}, outputs)


def test_more_classes_than_any_data_set_has_are_refused() -> None:
    with pytest.raises(TaskError, match="1600 different classes"):
        metric("miou").answers(
            {"masks": np.zeros((1, 40, 40), np.int64)}, {"argmax": np.arange(1600).reshape(1, 40, 40)}
        )


def test_masks_with_negative_classes_are_refused() -> None:
    with pytest.raises(TaskError, match="masks have the class -3"):
        metric("miou").answers({"masks": np.full((1, 2, 2), -3)}, {"argmax": np.zeros((1, 2, 2), np.int64)})
