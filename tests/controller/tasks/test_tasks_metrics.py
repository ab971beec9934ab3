"""Metrics come from the labels here and the answers of a device that is not trusted."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.device_outputs import correct_top1, read_labels
from steelyard.tasks.npz import write_npz


def test_each_sample_is_right_or_wrong() -> None:
    outputs = write_npz({"argmax": np.array([1, 2, 0], dtype=np.int64)})
    assert correct_top1(np.array([1, 0, 0]), outputs).tolist() == [True, False, True]


def test_another_number_of_answers_than_of_labels_is_refused() -> None:
    with pytest.raises(TaskError, match=r"2 answers .* 3 labels"):
        correct_top1(np.zeros(3, np.int64), write_npz({"argmax": np.zeros(2, np.int64)}))


@pytest.mark.parametrize(
    "outputs",
    [{"other": np.zeros(3, np.int64)}, {"argmax": np.zeros(3, np.float32)}, {"argmax": np.zeros((3, 1), np.int64)}],
)
def test_answers_of_another_form_are_refused(outputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(TaskError, match="argmax"):
        correct_top1(np.zeros(3, np.int64), write_npz(outputs))


def test_labels_that_are_no_labels_are_refused() -> None:
    with pytest.raises(TaskError, match="labels"):
        read_labels(b"noise")
