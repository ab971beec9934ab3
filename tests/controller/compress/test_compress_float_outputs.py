"""Matrix products give float where only float operators read them, and 8 bits where an 8-bit one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from steelyard.compress.steps.static_int8 import StaticInt8
from tests.controller.compress.int8_models import Graph, applied, drawn, outputs, run_ops, samples, sqnr_db

_LEVELS = 256


def _head(path: Path, op: str, behind: str) -> Path:
    """Write a product with a Relu and the product ``op``, and one operator behind it ("" for none)."""
    net = Graph()
    hidden = net.node("Relu", [net.node("Gemm", ["x", net.drawn("w1", 24, 32), net.drawn("b1", 32)], "first")], "relu")
    weight = net.drawn("w2", 32, 16)
    inputs = [hidden, weight, net.drawn("b2", 16)] if op == "Gemm" else [hidden, weight]
    last = net.node(op, inputs, "logits")
    if behind == "product":
        last = net.node("MatMul", [last, net.drawn("w3", 16, 16)], "y")
    elif behind:
        last = net.node(behind, [last], "y")
    return net.write(path, [("x", ["batch", 24])], (last, ["batch", 16]))


@pytest.mark.parametrize(("op", "kernel"), [("Gemm", "QGemm"), ("MatMul", "MatMulIntegerToFloat")])
def test_the_last_product_is_an_integer_kernel_that_gives_more_than_256_values(
    tmp_path: Path, op: str, kernel: str
) -> None:
    path = _head(tmp_path / "m.onnx", op, "")
    made, _ = applied(StaticInt8(), path, samples(64, 24))
    run = run_ops(made)
    assert run[kernel] >= 1
    assert run["DequantizeLinear"] == 0
    assert not run["Gemm"] + run["MatMul"]
    feed = {"x": drawn(256, 24)}
    assert np.unique(outputs(made, feed)).size > _LEVELS
    assert sqnr_db(outputs(path, feed), outputs(made, feed)) > 30


def test_a_softmax_reads_the_product_in_float(tmp_path: Path) -> None:
    made, _ = applied(StaticInt8(), _head(tmp_path / "m.onnx", "Gemm", "Softmax"), samples(64, 24))
    graph = onnx.load_model(made).graph
    (softmax,) = [node for node in graph.node if node.op_type == "Softmax"]
    source = {name: node.op_type for node in graph.node for name in node.output}
    assert source[softmax.input[0]] == "Gemm"


def test_a_product_that_another_one_reads_gives_8_bits(tmp_path: Path) -> None:
    made, _ = applied(StaticInt8(), _head(tmp_path / "m.onnx", "Gemm", "product"), samples(64, 24))
    graph = onnx.load_model(made).graph
    readers = {name: node.op_type for node in graph.node for name in node.input}
    (inner,) = [node for node in graph.node if node.op_type == "Gemm" and node.name == "logits_node"]
    assert readers[inner.output[0]] == "QuantizeLinear"


@pytest.mark.parametrize("activation", ["Relu", "Clip"])
def test_an_activation_that_quantize_linear_stands_for_is_not_lost(tmp_path: Path, activation: str) -> None:
    net = Graph()
    last = net.node("Gemm", ["x", net.drawn("w", 24, 16), net.drawn("b", 16)], "sums")
    ends = [net.store("low", 0.0), net.store("high", 6.0)] if activation == "Clip" else []
    net.node(activation, [last, *ends], "y")
    path = net.write(tmp_path / "m.onnx", [("x", ["batch", 24])], ("y", ["batch", 16]))
    made, _ = applied(StaticInt8(), path, samples(64, 24))
    feed = {"x": drawn(64, 24)}
    assert outputs(made, feed).min() == 0.0
    assert sqnr_db(outputs(path, feed), outputs(made, feed)) > 25
