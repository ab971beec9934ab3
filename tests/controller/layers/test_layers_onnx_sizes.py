"""Sizes that a graph computes from its own shapes, and the layers that are counted because of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from steelyard.layers.onnx_shapes import known_tensors
from steelyard.layers.onnx_sizes import fold_sizes
from steelyard.layers.read import read_layers

WIDTH, LONGEST = 8, 32


def embedding_model() -> onnx.ModelProto:
    """Token and position embeddings, the positions cut to the sequence's length, then one dense layer."""
    rng = np.random.default_rng(0)
    stored = {
        "words": rng.standard_normal((50, WIDTH)).astype(np.float32),
        "places": rng.standard_normal((LONGEST, WIDTH)).astype(np.float32),
        "place_ids": np.arange(LONGEST, dtype=np.int64)[None],
        "w": rng.standard_normal((WIDTH, 16)).astype(np.float32),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "axis": np.array(1, np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["word"]),
        helper.make_node("Shape", ["ids"], ["ids_shape"]),
        helper.make_node("Gather", ["ids_shape", "axis"], ["length"]),
        helper.make_node("Unsqueeze", ["length", "zero"], ["end"]),
        helper.make_node("Slice", ["place_ids", "zero", "end", "one"], ["used"]),
        helper.make_node("Gather", ["places", "used"], ["place"]),
        helper.make_node("Add", ["word", "place"], ["sum"]),
        helper.make_node("MatMul", ["sum", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "length", 16])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_a_layer_behind_positions_of_a_given_length_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save_model(embedding_model(), path)
    table = read_layers(path, input_shapes={"ids": (1, 24)})
    assert table.counted_mac_count == 24 * WIDTH * 16
    assert not table.not_counted


def test_shapes_are_those_that_the_reference_gives() -> None:
    model = embedding_model()
    tensors = known_tensors(model, {"ids": (2, 24)}, 1)
    assert (tensors.shape("used"), tensors.shape("sum"), tensors.shape("y")) == ((1, 24), (2, 24, WIDTH), (2, 24, 16))
    # The model itself stays as it is, and what was evaluated is no stored tensor of it.
    assert len(model.graph.node) == 8
    assert "used" not in tensors.stored


def test_without_a_length_nothing_is_made_up() -> None:
    tensors = known_tensors(embedding_model(), {}, 1)
    assert tensors.shape("used") is None
    assert tensors.shape("y") is None


def test_a_size_beyond_all_bounds_is_left_alone() -> None:
    node = helper.make_node("ConstantOfShape", ["n"], ["filled"])
    graph = helper.make_graph(
        [node],
        "g",
        [],
        [helper.make_tensor_value_info("filled", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([2**40], np.int64), "n")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    assert fold_sizes(model, {}) == {}


def test_what_cannot_be_evaluated_stays() -> None:
    node = helper.make_node("Gather", ["row", "at"], ["value"])
    stored = {"row": np.array([1, 2], np.int64), "at": np.array(7, np.int64)}
    graph = helper.make_graph(
        [node],
        "g",
        [],
        [helper.make_tensor_value_info("value", TensorProto.INT64, [])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    assert fold_sizes(model, {}) == {}
    assert len(model.graph.node) == 1
