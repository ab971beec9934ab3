"""Sizes that a graph computes, and batches that a file fixes: the module takes any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.train.lift import lift_checked
from tests.controller.train.lift.graphs import drawn, node, write

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


@pytest.mark.parametrize("target", [[1, 36], [-1, 36], [1, -1]])
def test_a_file_with_a_fixed_batch_becomes_a_module_that_takes_any(tmp_path: Path, target: list[int]) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("Conv", "x w", "c"), node("Reshape", "c shape", "f"), node("Gemm", "f g", "y")],
        {"x": [1, 4, 3, 3]},
        {"y": [1, 5]},
        {"w": drawn(4, 4, 1, 1), "shape": np.array(target), "g": drawn(36, 5)},
    )
    lifted = lift_checked(path)
    assert lifted.fixed_batch == 1
    assert lifted.module(torch.zeros(7, 4, 3, 3)).shape == (7, 5)


def test_a_stored_part_of_a_fixed_batch_is_joined_to_each_sample(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("ConstantOfShape", "shape", "zeros"), node("Concat", "x zeros", "y", axis=1)],
        {"x": [1, 4, 3]},
        {"y": [1, 6, 3]},
        {"shape": np.array([1, 2, 3])},
    )
    assert lift_checked(path).module(torch.ones(5, 4, 3)).sum(dim=(1, 2)).tolist() == [12.0] * 5


def test_sizes_computed_from_shapes_follow_the_input(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [
            node("Shape", "x", "shape"),
            node("Gather", "shape zero", "batch"),
            node("Gather", "shape one", "length"),
            node("Div", "length two", "half"),
            *(node("Unsqueeze", f"{name} front", f"{name}_1") for name in ("batch", "half")),
            node("Concat", "batch_1 half_1 rest", "target", axis=0),
            node("Reshape", "x target", "r"),
            node("ReduceSum", "r last", "y", keepdims=0),
        ],
        {"x": ["N", "T", 3]},
        {"y": ["N", "H"]},
        {
            "zero": np.int64(0),
            "one": np.int64(1),
            "two": np.int64(2),
            "front": np.array([0]),
            "rest": np.array([-1]),
            "last": np.array([2]),
        },
    )
    lifted = lift_checked(path)
    assert lifted.module(torch.ones(2, 10, 3)).shape == (2, 5)


def test_positions_are_cut_to_the_length_of_the_input(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [
            node("Shape", "x", "length", start=1, end=2),
            node("Slice", "places from length axis", "here"),
            node("Gather", "table here", "p"),
            node("Add", "x p", "y"),
        ],
        {"x": ["N", "T", 3]},
        {"y": ["N", "T", 3]},
        {"places": np.arange(100)[None], "from": np.array([0]), "axis": np.array([1]), "table": drawn(100, 3)},
    )
    lifted = lift_checked(path)
    assert lifted.module(torch.zeros(2, 9, 3)).shape == (2, 9, 3)
    assert [name for name, _ in lifted.module.named_parameters()]


def test_ranges_and_filled_tensors_of_computed_sizes_are_made_where_the_input_is(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [
            node("Shape", "x", "shape"),
            node("ConstantOfShape", "shape", "zeros"),
            node("Gather", "shape one", "length"),
            node("Range", "zero length one", "counted"),
            node("Cast", "counted", "floats", to=1),
            node("Add", "zeros floats", "a"),
            node("Add", "a x", "y"),
        ],
        {"x": ["N", "T"]},
        {"y": ["N", "T"]},
        {"one": np.int64(1), "zero": np.int64(0)},
    )
    assert lift_checked(path).module(torch.zeros(2, 4)).tolist() == [[0.0, 1.0, 2.0, 3.0]] * 2


def test_nodes_in_another_order_and_unread_ones_are_no_matter(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        [node("Relu", "h", "y"), node("Gemm", "x w", "h"), node("Bernoulli", "x", "unread")],
        {"x": ["N", 4]},
        {"y": ["N", 5]},
        {"w": drawn(4, 5)},
    )
    assert list(lift_checked(path).layers.values()) == ["/h/Gemm"]
