"""How near a variant's outputs are to its parent's: planted noise gives planted figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.registry import metric

Outputs = dict[str, "np.ndarray[Any, Any]"]


def _drawn(shape: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_noise_of_a_hundredth_of_the_signal_is_at_40_db() -> None:
    parent = np.array([[3.0, 4.0], [30.0, 40.0]])
    noise = np.array([[0.04, -0.03], [-0.4, 0.3]])
    assert metric("sqnr").answers({"y": parent}, {"y": parent + noise}).value() == pytest.approx(40.0)


def test_the_figure_is_the_mean_over_samples() -> None:
    parent = np.ones((2, 4))
    variant = parent + np.array([[0.1], [0.01]])
    answers = metric("sqnr").answers({"y": parent}, {"y": variant})
    assert answers.value() == pytest.approx(30.0)
    assert answers.value(np.array([3, 1])) == pytest.approx(25.0)


def test_equal_outputs_are_at_200_db_and_zeros_with_noise_at_minus_200() -> None:
    parent = np.array([[1.0, 2.0], [0.0, 0.0]], np.float32)
    assert metric("sqnr").answers({"y": parent}, {"y": parent}).value() == 200.0
    noisy = parent + np.array([[0.0, 0.0], [1.0, 0.0]], np.float32)
    assert metric("sqnr").answers({"y": parent}, {"y": noisy}).value() == 0.0


def test_the_cosine_knows_directions_and_no_lengths() -> None:
    parent = np.array([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    variant = np.array([[5.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    answers = metric("cosine").answers({"y": parent}, {"y": variant})
    assert answers.value() == pytest.approx((1.0 + np.sqrt(0.5) - 1.0) / 3)


@pytest.mark.parametrize("scale", [1e-150, 1e90])
def test_the_cosine_holds_for_tiny_and_huge_outputs(scale: float) -> None:
    parent = scale * np.array([[3.0, 4.0]])
    assert metric("cosine").answers({"y": parent}, {"y": parent * 2}).value() == pytest.approx(1.0)


def test_zeros_agree_with_zeros_alone() -> None:
    parent = np.array([[0.0, 0.0], [0.0, 0.0]])
    answers = metric("cosine").answers({"y": parent}, {"y": np.array([[0.0, 0.0], [1.0, 0.0]])})
    assert answers.value() == 0.5


def test_all_floating_point_outputs_count_alike_unless_one_is_named() -> None:
    parents: Outputs = {"a": np.ones((2, 2)), "ids": np.zeros((2, 3), np.int64), "b": np.ones((2, 9))}
    variants: Outputs = {"a": np.full((2, 2), 1.1), "ids": np.ones((2, 3), np.int64), "b": np.full((2, 9), 1.01)}
    assert metric("sqnr").answers(parents, variants).value() == pytest.approx(30.0)
    assert metric("sqnr", {"output": "b"}).answers(parents, variants).value() == pytest.approx(40.0)


def test_a_single_output_may_have_another_name() -> None:
    parent = _drawn((3, 4))
    answers = metric("cosine").answers({"logits": parent}, {"StatefulPartitionedCall:0": parent})
    assert answers.value() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("parents", "variants", "said"),
    [
        ({"y": _drawn((2, 3))}, {"y": _drawn((2, 4))}, r"shape \[2, 4\] and the original's has \[2, 3\]"),
        ({"y": _drawn((2, 3))}, {"y": _drawn((1, 3))}, "1 answers"),
        ({"y": _drawn((2, 3)), "z": _drawn((2, 3))}, {"y": _drawn((2, 3))}, "no output 'z', only y"),
        ({"y": np.zeros((2, 3), np.int8)}, {"y": np.zeros((2, 3), np.int8)}, "no floating-point output, only y int8"),
        ({"y": _drawn((2, 3))}, {"y": np.zeros((2, 3), np.int8)}, "is int8"),
        ({"y": _drawn((2, 3))}, {"y": np.full((2, 3), np.nan, np.float32)}, "6 of 6 values"),
        ({}, {}, "only nothing"),
    ],
)
def test_outputs_that_do_not_pair_up_are_refused(parents: Outputs, variants: Outputs, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        metric("sqnr").answers(parents, variants)
