"""Errors of a regression: against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.registry import metric

_ORACLES: dict[str, Callable[[Any, Any], float]] = {
    "mae": mean_absolute_error,
    "rmse": lambda targets, values: math.sqrt(mean_squared_error(targets, values)),
    "r2": r2_score,
}


@pytest.mark.parametrize("kind", list(_ORACLES))
@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
def test_figures_agree_with_scikit_learn(kind: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    targets = 1000.0 + rng.standard_normal(shape)
    values = (targets + 0.3 * rng.standard_normal(shape)).astype(np.float32)
    value = metric(kind).answers({"targets": targets}, {"y": values}).value()
    assert value == pytest.approx(_ORACLES[kind](targets, values.astype(np.float64)), rel=1e-9)


@pytest.mark.parametrize("kind", list(_ORACLES))
def test_a_size_of_one_makes_no_difference(kind: str) -> None:
    targets = np.array([1.0, 2.0, 4.0])
    values = np.array([1.5, 2.0, 3.0], np.float32)
    plain = metric(kind).answers({"targets": targets}, {"y": values}).value()
    assert metric(kind).answers({"targets": targets}, {"y": values[:, None]}).value() == plain


def test_values_of_an_image_count_alike() -> None:
    targets = np.zeros((2, 2, 2))
    values = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    assert metric("mae").answers({"targets": targets}, {"y": values}).value() == pytest.approx(3.5)
    assert metric("rmse").answers({"targets": targets}, {"y": values}).value() == pytest.approx(math.sqrt(17.5))


def test_targets_that_do_not_vary_have_no_coefficient() -> None:
    answers = metric("r2").answers({"targets": np.array([0.1, 0.1, 0.1, 7.0])}, {"y": np.zeros((4, 1), np.float32)})
    assert answers.value() is not None
    assert answers.value(np.array([5, 1, 1, 0])) is None
    assert answers.value(np.zeros(4, np.int64)) is None


def test_no_samples_have_no_error() -> None:
    answers = metric("mae").answers({"targets": np.array([1.0])}, {"y": np.array([1.0], np.float32)})
    assert answers.value(np.array([0])) is None


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (np.zeros((3, 2), np.float32), r"shape \[3, 2\] and the targets have \[3, 4\]"),
        (np.zeros((3, 2, 2), np.float32), r"shape \[3, 2, 2\]"),
        (np.zeros((2, 4), np.float32), "2 answers"),
        (np.full((3, 4), np.nan, np.float32), "12 of 12 values"),
        (np.full((3, 4), 1e200), "beyond 1e"),
        (np.zeros((3, 4), np.int64), "is int64"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(output: np.ndarray[Any, Any], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        metric("rmse").answers({"targets": np.zeros((3, 4))}, {"y": output})
