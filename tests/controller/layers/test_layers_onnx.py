"""Layers of ONNX files: quantized forms, recurrent layers, attention, parameters, and what is not counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.artifact_formats.errors import InvalidModelError
from steelyard.errors import UsageError
from steelyard.layers.contract import LayerTable
from steelyard.layers.read import read_layers
from tests.support import models

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


def table_of(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, tuple[int, Sequence[int | str]]],
    stored: dict[str, np.ndarray] | None = None,
    **settings: object,
) -> LayerTable:
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(value, name) for name, value in (stored or {}).items()],
    )
    imports = [
        helper.make_opsetid("", 21),
        helper.make_opsetid("com.microsoft", 1),
        helper.make_opsetid("com.example", 1),
    ]
    onnx.save(helper.make_model(graph, opset_imports=imports), str(path / "model.onnx"))
    return read_layers(path / "model.onnx", **settings)


def _scales(*names: str) -> dict[str, np.ndarray]:
    return {name: np.float32(0.1) if name.endswith("s") else np.uint8(0) for name in names}


def test_quantized_convolutions_count_as_their_float_twins_do(tmp_path: Path) -> None:
    stored = {
        "w": np.zeros((8, 4, 3, 3), np.int8),
        "bias": np.zeros(8, np.int32),
        "wz": np.int8(0),
        **_scales("xs", "xz", "ws", "ys", "yz"),
    }
    node = helper.make_node(
        *("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "bias"], ["y"]), pads=[1, 1, 1, 1]
    )
    (layer,) = table_of(tmp_path, [node], {"x": (UINT8, (1, 4, 10, 10))}, stored).layers
    assert layer.mac_count == 8 * 100 * 4 * 9
    # Scales and zero points are none of a layer's parameters.
    assert layer.parameter_count == 8 * 4 * 9 + 8
    assert layer.weight_dtype == "int8"
    assert layer.byte_count == 400 + 288 + 8 * 4 + 800 + 3 * 4 + 3

    integer = helper.make_node("ConvInteger", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    (layer,) = table_of(tmp_path, [integer], {"x": (UINT8, (1, 4, 10, 10))}, {"w": stored["w"]}).layers
    assert layer.mac_count == 8 * 100 * 4 * 9


def test_weights_behind_a_dequantize_are_the_convolutions(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["w"], name="widen"),
        helper.make_node("Conv", ["x", "w"], ["y"], name="conv"),
    ]
    stored = {"wq": np.zeros((8, 4, 1, 1), np.int8), "ws": np.float32(0.1), "wz": np.int8(0)}
    table = table_of(tmp_path, nodes, {"x": (FLOAT, (1, 4, 5, 5))}, stored)
    widen, conv = table.layers
    assert (widen.mac_count, widen.parameter_count) == (0, 0)
    assert (conv.mac_count, conv.parameter_count, conv.weight_dtype) == (8 * 25 * 4, 32, "int8")
    assert table.parameter_count == 32


@pytest.mark.parametrize(
    ("kind", "names", "given", "macs"),
    [
        ("MatMulInteger", ["x", "w"], UINT8, 3 * 4 * 5),
        ("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], UINT8, 3 * 4 * 5),
    ],
)
def test_quantized_products(tmp_path: Path, kind: str, names: list[str], given: int, macs: int) -> None:
    stored = {"w": np.zeros((4, 5), np.int8), "wz": np.int8(0), **_scales("xs", "xz", "ws", "ys", "yz")}
    stored = {name: value for name, value in stored.items() if name in names}
    (layer,) = table_of(tmp_path, [helper.make_node(kind, names, ["y"])], {"x": (given, (3, 4))}, stored).layers
    assert (layer.mac_count, layer.parameter_count) == (macs, 20)


@pytest.mark.parametrize("settings", [{}, {"input_shapes": {"x": (3, 4)}}])
def test_foreign_quantized_operators_pass_shapes_on(tmp_path: Path, settings: dict) -> None:
    foreign = {"domain": "com.microsoft"}
    nodes = [
        helper.make_node("QGemm", ["x", "xs", "xz", "w", "ws", "wz", "", "ys", "yz"], ["a"], transB=1, **foreign),
        helper.make_node("QLinearAdd", ["a", "xs", "xz", "a", "xs", "xz", "ys", "yz"], ["b"], **foreign),
        helper.make_node("QLinearSigmoid", ["b", "xs", "xz", "ys", "yz"], ["c"], **foreign),
        helper.make_node("DequantizeLinear", ["c", "xs", "xz"], ["d"], name="floats"),
        helper.make_node("MatMulNBits", ["d", "packed", "ps"], ["e"], K=6, N=7, bits=4, block_size=16, **foreign),
        helper.make_node("FusedMatMul", ["e", "e"], ["f"], transB=1, **foreign),
    ]
    stored = {
        "w": np.zeros((6, 4), np.int8),
        "wz": np.int8(0),
        "packed": np.zeros((7, 1, 8), np.uint8),
        "ps": np.zeros(7, np.float32),
        **_scales("xs", "xz", "ws", "ys", "yz"),
    }
    table = table_of(tmp_path, nodes, {"x": (UINT8, (3, 4))}, stored, **settings)
    assert [layer.mac_count for layer in table.layers] == [3 * 4 * 6, 0, 0, 0, 3 * 6 * 7, 3 * 3 * 7]
    assert [layer.parameter_count for layer in table.layers] == [24, 0, 0, 0, 42, 0]
    assert all(layer.byte_count is not None for layer in table.layers)


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_recurrent_layers_multiply_all_gates_at_each_step(
    tmp_path: Path, kind: str, gates: int, direction: str
) -> None:
    directions, steps, batch, width, hidden = 1 + (direction == "bidirectional"), 5, 2, 3, 4
    stored = {
        "w": np.zeros((directions, gates * hidden, width), np.float32),
        "r": np.zeros((directions, gates * hidden, hidden), np.float32),
    }
    node = helper.make_node(kind, ["x", "w", "r"], ["y"], hidden_size=hidden, direction=direction)
    (layer,) = table_of(tmp_path, [node], {"x": (FLOAT, (steps, batch, width))}, stored).layers
    products = 0
    for _direction in range(directions):
        for _step in range(steps * batch):
            products += gates * hidden * width + gates * hidden * hidden
    assert layer.mac_count == products
    assert layer.parameter_count == sum(value.size for value in stored.values())


def test_attention_made_of_products_is_counted_by_its_products(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"]),
        helper.make_node("MatMul", ["weights", "v"], ["y"]),
    ]
    shape = (1, 2, 6, 8)
    table = table_of(tmp_path, nodes, dict.fromkeys("qkv", (FLOAT, shape)))
    assert [layer.mac_count for layer in table.layers] == [0, 2 * 6 * 6 * 8, 0, 2 * 6 * 6 * 8]


def test_what_is_not_counted_is_named_and_makes_the_total_unknown(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="known"),
        helper.make_node("Frobnicate", ["a"], ["y"], name="mystery", domain="com.example"),
    ]
    table = table_of(tmp_path, nodes, {"x": (FLOAT, (3, 4))}, {"w": np.zeros((4, 5), np.float32)})
    assert table.mac_count is None
    assert table.counted_mac_count == 60
    (missing,) = table.not_counted
    assert (missing.name, missing.mac_count, missing.reason) == (
        *("mystery", None),
        "no rule for an operator of com.example",
    )


def test_control_flow_is_not_counted_as_nothing(tmp_path: Path) -> None:
    table = read_layers(models.endless_model(tmp_path / "loop.onnx"))
    assert [layer.kind for layer in table.not_counted] == ["Loop"]
    assert table.mac_count is None


def test_dynamic_sizes_are_given_or_unknown(tmp_path: Path) -> None:
    path = models.two_dynamic_dims_model(tmp_path / "model.onnx")
    # The Gemm behind the pooling is known anyhow, the sizes of the image are not.
    assert read_layers(path).byte_count is None
    table = read_layers(path, input_shapes={"image": (2, 3, 8, 8)})
    assert table.mac_count == 2 * 3 * 3
    assert table.byte_count > 2 * 3 * 8 * 8 * 4
    assert read_layers(models.linear_model(tmp_path / "linear.onnx"), batch_size=16).mac_count == 16 * 4 * 3


def test_sizes_that_contradict_the_model_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = models.linear_model(tmp_path / "linear.onnx")
    with pytest.raises(InvalidModelError, match="check --shape") as caught:
        read_layers(path, input_shapes={"x": (2, 9)})
    assert "\n" not in str(caught.value)


def test_sizes_of_an_input_that_is_not_there_are_refused(tmp_path: Path) -> None:
    path = models.linear_model(tmp_path / "linear.onnx")
    with pytest.raises(UsageError, match="no input 'image'; it has x"):
        read_layers(path, input_shapes={"image": (1, 4)})


def test_nodes_without_names_are_called_as_onnx_runtime_calls_them(tmp_path: Path) -> None:
    table = read_layers(models.conv_model(tmp_path / "model.onnx", depth=2))
    assert [layer.name for layer in table.layers][:3] == ["Conv_0", "Relu_1", "Conv_2"]
