"""Normalization and activations in pieces stay in float as a whole, and what stands beside them does not."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from steelyard.compress.preparation.float_islands import island_nodes
from steelyard.compress.steps.static_int8 import StaticInt8
from tests.controller.compress.int8_models import (
    Graph,
    applied,
    drawn,
    ops,
    outputs,
    run_ops,
    samples,
    shortcut_cnn,
    sqnr_db,
    transformer,
)

_WIDTH = 32


def _in_pieces(path: Path, *, opset: int = 17) -> Path:
    """Write a product, GELU by tanh, LayerNorm by E[x^2] - E[x]^2 with sums, and another product."""
    net = Graph()

    def times(left: str, right: str, name: str) -> str:
        return net.node("Mul", [left, right], name)

    def total(source: str, name: str) -> str:
        if opset < 13:
            return net.node("ReduceSum", [source], name, axes=[1], keepdims=1)
        return net.node("ReduceSum", [source, "axis"], name, keepdims=1)

    if opset >= 13:
        net.store("axis", [1], dtype="int64")
    share = net.store("share", 1 / _WIDTH)
    # Far from zero: the variance is a small difference of large numbers.
    x = net.node("Gemm", ["x", net.drawn("w1", _WIDTH, _WIDTH), net.store("b1", [40.0] * _WIDTH)], "h")
    cubed = times(times(x, x, "h2"), x, "h3")
    inner = net.node("Add", [x, times(cubed, net.store("c", 0.044715), "ch3")], "inner")
    bent = net.node("Tanh", [times(inner, net.store("k", 0.79788), "scaled")], "tanh")
    gelu = times(x, times(net.node("Add", [bent, net.store("one", 1.0)], "up"), net.store("half", 0.5), "gate"), "gelu")
    mean = times(total(gelu, "sum"), share, "mean")
    squares = times(total(times(gelu, gelu, "g2"), "sum2"), share, "mean2")
    variance = net.node("Sub", [squares, times(mean, mean, "m2")], "variance")
    floored = net.node("Max", [variance, net.store("zero", 0.0)], "floored")
    root = net.node("Sqrt", [net.node("Add", [floored, net.store("eps", 1e-6)], "safe")], "root")
    normed = net.node("Div", [net.node("Sub", [gelu, mean], "centred"), root], "normed")
    net.node("Gemm", [normed, net.drawn("w2", _WIDTH, 10), net.drawn("b2", 10)], "y")
    return net.write(path, [("x", ["batch", _WIDTH])], ("y", ["batch", 10]), opset=opset)


@pytest.mark.parametrize("opset", [11, 17])
def test_everything_between_two_products_is_one_island(tmp_path: Path, opset: int) -> None:
    model = onnx.load_model(_in_pieces(tmp_path / "m.onnx", opset=opset))
    kept = {node.name for node in model.graph.node if node.op_type != "Gemm"}
    assert island_nodes(model) == kept


def test_a_norm_in_pieces_keeps_its_digits_and_the_products_beside_it_their_integers(tmp_path: Path) -> None:
    path = _in_pieces(tmp_path / "m.onnx")
    made, _ = applied(StaticInt8(), path, samples(64, _WIDTH))
    feed = {"x": drawn(64, _WIDTH)}
    assert sqnr_db(outputs(path, feed), outputs(made, feed)) > 25
    # The two inputs of the products: nothing else crosses.
    assert ops(made)["QuantizeLinear"] == 2
    assert run_ops(made)["QGemm"] == 2


def test_the_sums_between_the_blocks_of_a_transformer_stay_in_float(tmp_path: Path) -> None:
    path = transformer(tmp_path / "m.onnx")
    kept = island_nodes(onnx.load_model(path))
    assert {"summed_node", "out_node", "y_node", "down_node", "up_node"} <= kept
    assert not {node for node in kept if node.endswith("_product_node")}
    made, _ = applied(StaticInt8(), path, samples(64, 6, 32))
    # What is left of them: the biases of query, key and value, which only products read.
    assert run_ops(made)["QLinearAdd"] == 3


def test_a_channel_far_beyond_all_others_in_those_sums_costs_the_others_nothing(tmp_path: Path) -> None:
    path = transformer(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    for tensor in model.graph.initializer:
        if tensor.name == "out_b":
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[3] = 2000.0
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, "out_b"))
    onnx.save_model(model, path)
    made, _ = applied(StaticInt8(), path, samples(64, 6, 32))
    feed = {"x": drawn(64, 6, 32)}
    others = [0, 1, 2, *range(4, 32)]
    expected, given = outputs(path, feed)[..., others], outputs(made, feed)[..., others]
    assert sqnr_db(expected, given) > 15


def test_a_cnn_without_such_functions_has_no_island(tmp_path: Path) -> None:
    assert not island_nodes(onnx.load_model(shortcut_cnn(tmp_path / "m.onnx")))


def test_a_pooling_ends_an_island_and_the_shortcut_before_it_stays_in_8_bits(tmp_path: Path) -> None:
    net = Graph()
    first = net.conv("image", "first", 3, 8)
    summed = net.node("Add", [net.conv(first, "second", 8, 8), first], "summed")
    pooled = net.node("ReduceMean", [summed], "pooled", axes=[2, 3], keepdims=0)
    squares = net.node("ReduceSum", [net.node("Mul", [pooled, pooled], "squared"), "last"], "squares")
    net.store("last", [1], dtype="int64")
    net.node("Div", [pooled, net.node("Sqrt", [squares], "length")], "y")
    path = net.write(tmp_path / "m.onnx", [("image", ["batch", 3, 8, 8])], ("y", ["batch", 8]))
    assert island_nodes(onnx.load_model(path)) == {"squared_node", "squares_node", "length_node", "y_node"}


def test_a_relu_ends_an_island(tmp_path: Path) -> None:
    net = Graph()
    summed = net.node("Add", [net.conv("image", "first", 3, 3), "image"], "summed")
    net.node("Tanh", [net.node("Relu", [summed], "relu")], "y")
    path = net.write(tmp_path / "m.onnx", [("image", ["batch", 3, 8, 8])], ("y", ["batch", 3, 8, 8]))
    assert island_nodes(onnx.load_model(path)) == {"y_node"}
