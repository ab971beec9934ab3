"""Operators go back to float one by one: all of them give the float model back, and what is not named stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from steelyard.compress.contract import StepContext
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.qdq.graph import QdqGraph
from steelyard.compress.qdq.pairing import pair_of, read_pair
from steelyard.compress.qdq.restore import restore
from tests.controller.compress.repair_models import (
    Net,
    calibration,
    context_for,
    depthwise_net,
    outputs,
    quantized,
    sqnr_db,
)
from tests.support.models import conv_model


def _pair(float_path: Path, **settings: Any) -> tuple[QdqGraph, Path, StepContext]:
    data = calibration()
    model = quantized(float_path, data, **settings)
    context = context_for(float_path.parent / "work", float_path, data)
    return pair_of(model, context, kind="restore"), model, context


def _written(graph: QdqGraph, names: set[str], path: Path) -> Path:
    model = restore(graph, names)
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
    return path


def residual_net(path: Path) -> Path:
    """Write a stem whose output is read by a layer, by an Add and by a pool that meets a flattened head."""
    net = Net(3)
    stem = net.node("Relu", [net.conv("image", "stem", 1, 8, kernel=3)], "stem_act")
    left = net.conv(stem, "left", 8, 8, kernel=3, has_bias=False)
    joined = net.node("Relu", [net.node("Add", [left, stem], "joined")], "joined_act")
    pooled = net.node("MaxPool", [joined], "small", kernel_shape=[2, 2], strides=[2, 2])
    net.head(net.conv(pooled, "last", 8, 16), 16)
    return net.write(path)


@pytest.mark.parametrize(
    "settings",
    [{}, {"per_channel": False}, {"activation_type": "int8"}, {"weight_type": "uint8", "per_channel": False}],
)
@pytest.mark.parametrize("make", [depthwise_net, residual_net, lambda path: depthwise_net(path, cap=2.0)])
def test_all_operators_restored_compute_what_the_float_model_does(
    tmp_path: Path, settings: dict[str, Any], make: Any
) -> None:
    float_path = make(tmp_path / "m.onnx")
    graph, model, _ = _pair(float_path, **settings)
    restored = _written(graph, {unit.name for unit in graph.units}, tmp_path / "all.onnx")
    expected = outputs(float_path)
    assert sqnr_db(expected, outputs(model)) < 60
    np.testing.assert_allclose(outputs(restored), expected, atol=1e-5)
    left = {node.op_type for node in onnx.load_model(restored).graph.node}
    assert not left & {"QuantizeLinear", "DequantizeLinear"}


def test_nothing_restored_is_the_model_itself(tmp_path: Path) -> None:
    graph, model, _ = _pair(residual_net(tmp_path / "m.onnx"))
    untouched = _written(graph, set(), tmp_path / "none.onnx")
    np.testing.assert_array_equal(outputs(untouched), outputs(model))


def test_one_restored_layer_gets_its_float_weights_and_the_others_keep_their_integers(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx")
    graph, _, _ = _pair(float_path)
    restored = onnx.load_model(_written(graph, {"layer2_node"}, tmp_path / "one.onnx"))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in restored.graph.initializer}
    exact = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model(float_path).graph.initializer}
    np.testing.assert_array_equal(stored["layer2_w"], exact["layer2_w"])
    assert "layer2_w_quantized" not in stored
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.model.graph.initializer}
    for number in (0, 1, 3, 4):
        name = f"layer{number}_w_quantized"
        np.testing.assert_array_equal(stored[name], before[name])


def test_a_restored_layer_reads_its_input_from_before_the_quantization_with_the_activation_that_was_dropped(
    tmp_path: Path,
) -> None:
    graph, _, _ = _pair(depthwise_net(tmp_path / "m.onnx"))
    dropped = [unit.name for unit in graph.units if unit.dropped]
    assert "layer1_node" in dropped
    restored = restore(graph, {"layer2_node"})
    by_output = {node.output[0]: node for node in restored.graph.node}
    layer = next(node for node in restored.graph.node if node.op_type == "Conv" and "layer2_w" in node.input)
    assert by_output[layer.input[0]].op_type == "Relu"
    assert by_output[by_output[layer.input[0]].input[0]].op_type == "Conv"


def test_each_restored_layer_brings_the_model_nearer_to_the_float_one(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx", imbalance=100)
    graph, model, _ = _pair(float_path, per_channel=False)
    expected, names = outputs(float_path), [unit.name for unit in graph.layers]
    models = [_written(graph, set(names[:count]), tmp_path / f"{count}.onnx") for count in (2, 4, 6)]
    scores = [sqnr_db(expected, outputs(one)) for one in (model, *models)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 20


def test_an_ancestor_of_another_model_is_refused(tmp_path: Path) -> None:
    data = calibration()
    model = quantized(depthwise_net(tmp_path / "m.onnx"), data)
    other = conv_model(tmp_path / "other.onnx")
    with pytest.raises(CompressionInputError, match="counterpart") as caught:
        read_pair(model, other, tmp_path, kind="restore")
    assert caught.value.reason == "unmatched_model"


def test_a_model_without_quantized_layers_is_refused(tmp_path: Path) -> None:
    float_path = depthwise_net(tmp_path / "m.onnx")
    with pytest.raises(CompressionInputError, match="put static-int8 before it") as caught:
        read_pair(float_path, float_path, tmp_path, kind="adaround")
    assert caught.value.reason == "no_quantized_layers"
