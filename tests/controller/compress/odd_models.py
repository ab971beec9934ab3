"""Small models of forms that tools stumble over; each takes x [N, 64] or [N, 3, 8, 8]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_DEFAULT_OPSET = 17


def weight(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    """Return drawn weights scaled by their number of inputs."""
    values = np.random.default_rng(seed + len(name)).standard_normal(shape) / np.sqrt(max(1, shape[0]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    outputs: dict[str, list[Any]],
    weights: Sequence[onnx.TensorProto] = (),
    *,
    sample: Sequence[int] = (64,),
    batch: int | str = "N",
    opset: int = _DEFAULT_OPSET,
    functions: Sequence[onnx.FunctionProto] = (),
    **graph: Any,
) -> Path:
    """Write a model of the input "x"; ``graph`` are further fields of its graph."""

    def value(name: str, shape: Sequence[Any]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    made = helper.make_graph(
        list(nodes),
        "odd",
        [value("x", [batch, *sample])],
        [value(*one) for one in outputs.items()],
        list(weights),
        **graph,
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(one.domain, 1) for one in functions)]
    model = helper.make_model(made, opset_imports=opsets, functions=list(functions), ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def perceptron(path: Path, *, opset: int = _DEFAULT_OPSET, extra_outputs: dict[str, list[Any]] | None = None) -> Path:
    """Two Gemm, 64 to 128 to 32, with weights large enough for dynamic quantization."""
    nodes = [
        helper.make_node("Gemm", ["x", "a", "bias_a"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "b", "bias_b"], ["y"], name="second"),
    ]
    weights = [weight("a", 64, 128), weight("bias_a", 128), weight("b", 128, 32), weight("bias_b", 32)]
    return write(path, nodes, {"y": ["N", 32], **(extra_outputs or {})}, weights, opset=opset)


def two_gemms(path: Path, bias: np.ndarray, *, batch: int | str = "N") -> Path:
    """Two Gemm, the first with a bias of any shape."""
    nodes = [
        helper.make_node("Gemm", ["x", "a", "bias"], ["h"], name="first"),
        helper.make_node("Gemm", ["h", "b"], ["y"], name="second"),
    ]
    stored = [weight("a", 64, 128), numpy_helper.from_array(bias.astype(np.float32), "bias"), weight("b", 128, 32)]
    return write(path, nodes, {"y": [batch, 32]}, stored, batch=batch)


def tied_gemms(path: Path) -> Path:
    """Two Gemm that read one weight, the second transposed."""
    nodes = [
        helper.make_node("Gemm", ["x", "a", "bias"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "a", "bias_back"], ["y"], name="second", transB=1),
    ]
    stored = [weight("a", 64, 128), weight("bias", 128), weight("bias_back", 64)]
    return write(path, nodes, {"y": ["N", 64]}, stored)


def tied_convolutions(path: Path) -> Path:
    """Two convolutions that read one weight and have no bias."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "w"], ["y"], name="second", pads=[1, 1, 1, 1]),
    ]
    return write(path, nodes, {"y": ["N", 3, 8, 8]}, [weight("w", 3, 3, 3, 3)], sample=(3, 8, 8))


def function_calls(path: Path) -> Path:
    """Two calls of a local function that holds its own constant."""
    body = [
        helper.make_node("Constant", [], ["k"], value=weight("k", 64, 64)),
        helper.make_node("MatMul", ["i", "k"], ["p"]),
        helper.make_node("Relu", ["p"], ["o"]),
    ]
    dense = helper.make_function("own", "Dense", ["i"], ["o"], body, [helper.make_opsetid("", _DEFAULT_OPSET)])
    calls = [
        helper.make_node("Dense", ["x"], ["q"], domain="own", name="first"),
        helper.make_node("Dense", ["q"], ["y"], domain="own", name="second"),
    ]
    return write(path, calls, {"y": ["N", 64]}, functions=[dense])


def branches(path: Path) -> Path:
    """An If whose branches read what a MatMul outside gives."""

    def branch(name: str) -> onnx.GraphProto:
        given = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, ["N", 32])
        node = helper.make_node("MatMul", ["m", f"{name}_w"], [f"{name}_y"], name=name)
        return helper.make_graph([node], name, [], [given], [weight(f"{name}_w", 128, 32)])

    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["m"], name="product"),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["chosen"]),
        helper.make_node("If", ["chosen"], ["y"], then_branch=branch("then"), else_branch=branch("other")),
    ]
    zero = numpy_helper.from_array(np.float32(0), "zero")
    return write(path, nodes, {"y": ["N", 32]}, [weight("a", 64, 128), zero])


def computed_bias(path: Path) -> Path:
    """A Gemm whose bias is what a MatMul gives."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["m"], name="bias"),
        helper.make_node("MatMul", ["x", "b"], ["k"], name="product"),
        helper.make_node("Add", ["m", "k"], ["y"], name="sum"),
    ]
    return write(path, nodes, {"y": ["N", 128]}, [weight("a", 64, 128), weight("b", 64, 128, seed=5)])


def huge_bias(path: Path) -> Path:
    """Three convolutions, the second with a bias beyond 32 bits at the scale of its inputs and weights."""
    bias = numpy_helper.from_array(np.full(4, 1e8, dtype=np.float32), "bias")
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["c"], name="plain"),
        helper.make_node("Conv", ["c", "w", "bias"], ["d"], name="biased"),
        helper.make_node("Conv", ["d", "u"], ["y"], name="last"),
    ]
    stored = [weight("v", 3, 3, 3, 3), weight("w", 4, 3, 3, 3), bias, weight("u", 4, 4, 3, 3)]
    return write(path, nodes, {"y": ["N", 4, 2, 2]}, stored, sample=(3, 8, 8))


def sparse_weight(path: Path) -> Path:
    """A MatMul with a weight that is stored sparsely."""
    values = numpy_helper.from_array(np.linspace(-1, 1, 100).astype(np.float32), "a")
    places = numpy_helper.from_array(np.arange(0, 6400, 64), "places")
    stored = helper.make_sparse_tensor(values, places, [64, 128])
    nodes = [helper.make_node("MatMul", ["x", "a"], ["y"])]
    return write(path, nodes, {"y": ["N", 128]}, sparse_initializer=[stored])
