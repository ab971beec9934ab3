"""What only leads to the outputs stays in float, where something else is left to quantize."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from steelyard.compress.preparation.float_ends import float_ends
from steelyard.compress.steps.static_int8 import StaticInt8
from tests.controller.compress.int8_models import (
    Graph,
    applied,
    drawn,
    outputs,
    run_ops,
    samples,
    shortcut_cnn,
    sqnr_db,
)


def _heads(path: Path) -> Path:
    """Write a convolution with two heads, whose rows are moved together and the best score selected."""
    net = Graph()
    body = net.node("Relu", [net.conv("image", "body", 3, 8)], "relu")
    net.store("rows", [0, -1, 1], dtype="int64")
    rows = []
    for head in ("near", "far"):
        heat = net.conv(body, head, 8, 1, kernel=1)
        rows.append(
            net.node("Reshape", [net.node("Transpose", [heat], f"{head}_t", perm=[0, 2, 3, 1]), "rows"], head[0])
        )
    net.node("ReduceMax", [net.node("Concat", rows, "all", axis=1)], "score", axes=[1], keepdims=0)
    return net.write(path, [("image", ["batch", 3, 8, 8])], ("score", ["batch", 1]))


def test_heads_and_what_moves_their_values_stay_in_float(tmp_path: Path) -> None:
    path = _heads(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    kept = {node.name for node in model.graph.node} - {"body_node", "relu_node"}
    assert float_ends(model) == kept


def test_arithmetic_that_decodes_results_stays_in_float_and_the_layers_in_front_of_it_do_not(tmp_path: Path) -> None:
    net = Graph()
    body = net.node("Relu", [net.conv("image", "body", 3, 8)], "relu")
    reach = net.node("Mul", [net.conv(body, "reach", 8, 2), net.store("stride", 8.0)], "scaled")
    boxes = net.node("Add", [reach, net.drawn("places", 2, 8, 8)], "boxes")
    scores = net.node("Sigmoid", [net.conv(body, "logits", 8, 1)], "scores")
    net.node("Concat", [boxes, scores], "found", axis=1)
    path = net.write(tmp_path / "m.onnx", [("image", ["batch", 3, 8, 8])], ("found", ["batch", 3, 8, 8]))
    kept = {"scaled_node", "boxes_node", "scores_node", "found_node"}
    assert float_ends(onnx.load_model(path)) == kept
    made, _ = applied(StaticInt8(), path, samples(16, 3, 8, 8, name="image"))
    run = run_ops(made)
    assert (run["QLinearConv"], run["QLinearAdd"], run["QLinearMul"], run["QLinearSigmoid"]) == (3, 0, 0, 0)
    # The input, and nothing behind the heads.
    assert run["QuantizeLinear"] == 1


def test_arithmetic_without_a_layer_in_front_of_it_is_quantized_all_the_same(tmp_path: Path) -> None:
    net = Graph()
    net.node("Add", ["x", net.drawn("b", 4)], "y")
    path = net.write(tmp_path / "m.onnx", [("x", ["batch", 4])], ("y", ["batch", 4]))
    assert not float_ends(onnx.load_model(path))


def test_a_score_beside_a_far_background_keeps_its_digits(tmp_path: Path) -> None:
    path = _heads(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    for tensor in model.graph.initializer:
        if tensor.name == "near_b":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([-1000.0], dtype=np.float32), "near_b"))
    onnx.save_model(model, path)
    made, _ = applied(StaticInt8(), path, samples(32, 3, 8, 8, name="image"))
    feed = {"image": drawn(32, 3, 8, 8)}
    assert sqnr_db(outputs(path, feed), outputs(made, feed)) > 25
    run = run_ops(made)
    assert run["QLinearConv"] == 1
    assert run["QuantizeLinear"] == 1


def test_a_classifier_ends_in_a_product_and_keeps_all_its_convolutions_in_integers(tmp_path: Path) -> None:
    assert not float_ends(onnx.load_model(shortcut_cnn(tmp_path / "m.onnx")))


def test_the_only_layer_of_a_model_is_quantized_all_the_same(tmp_path: Path) -> None:
    net = Graph()
    net.conv("image", "heat", 3, 2)
    path = net.write(tmp_path / "m.onnx", [("image", ["batch", 3, 8, 8])], ("heat", ["batch", 2, 8, 8]))
    made, _ = applied(StaticInt8(), path, samples(16, 3, 8, 8, name="image"))
    assert run_ops(made)["QLinearConv"] == 1


def test_a_convolution_that_something_else_reads_too_stays_in_8_bits(tmp_path: Path) -> None:
    net = Graph()
    mask = net.conv(net.node("Relu", [net.conv("image", "body", 3, 8)], "relu"), "mask", 8, 8)
    net.node("GlobalAveragePool", [net.node("Sigmoid", [mask], "gate")], "y")
    path = net.write(tmp_path / "m.onnx", [("image", ["batch", 3, 8, 8])], ("y", ["batch", 8, 1, 1]))
    assert not float_ends(onnx.load_model(path))
