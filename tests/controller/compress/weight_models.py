"""Small models whose stored weights are known, and steps applied to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.calibration import read_calibration
from steelyard.compress.contract import StepContext, StepReport
from steelyard.tasks.packing import pack


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    """Return standard normal float32 values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    """Return a stored tensor."""
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def saved(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    weights: Sequence[onnx.TensorProto],
    *,
    opset: int = 20,
    integer_inputs: Sequence[str] = (),
) -> Path:
    """Write a model."""

    def value(name: str, shape: list[Any]) -> onnx.ValueInfoProto:
        kind = TensorProto.INT64 if name in integer_inputs else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        list(nodes),
        "g",
        [value(*one) for one in inputs.items()],
        [value(*one) for one in outputs.items()],
        list(weights),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def matmul_model(path: Path, weight: np.ndarray) -> Path:
    """Write x [batch, inputs] times ``weight`` [inputs, outputs] -> y."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
    shape = {"x": ["batch", weight.shape[0]]}
    return saved(path, nodes, shape, {"y": ["batch", weight.shape[1]]}, [tensor("w", weight)])


def gemm_model(path: Path, weight: np.ndarray, bias: np.ndarray, **attributes: float) -> Path:
    """Write Gemm with ``weight`` ([outputs, inputs] for transB) and ``bias``."""
    output_count, input_count = weight.shape if attributes.get("transB") else weight.shape[::-1]
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="dense", **attributes)]
    shape = {"x": ["batch", input_count]}
    return saved(path, nodes, shape, {"y": ["batch", output_count]}, [tensor("w", weight), tensor("b", bias)])


def conv_weights_model(path: Path, weight: np.ndarray, size: int = 9, **attributes: Any) -> Path:
    """Write a convolution of an image [1, inputs, size, size] with a bias."""
    input_count = weight.shape[1] * attributes.get("group", 1)
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", **attributes)]
    weights = [tensor("w", weight), tensor("b", drawn(weight.shape[0], seed=9))]
    return saved(path, nodes, {"x": ["batch", input_count, size, size]}, {"y": [None] * 4}, weights)


def branch_model(path: Path, then_weight: np.ndarray, else_weight: np.ndarray) -> Path:
    """Write x times one of two weights of the same name, by the sign of the first element of x; an outer one, too."""

    def branch(weight: np.ndarray) -> onnx.GraphProto:
        nodes = [helper.make_node("MatMul", ["h", "inner"], ["made"])]
        outputs = [helper.make_tensor_value_info("made", TensorProto.FLOAT, None)]
        return helper.make_graph(nodes, "branch", [], outputs, [tensor("inner", weight)])

    nodes = [
        helper.make_node("MatMul", ["x", "outer"], ["h"]),
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "zero"], ["is_positive"]),
        helper.make_node(
            "If", ["is_positive"], ["y"], then_branch=branch(then_weight), else_branch=branch(else_weight)
        ),
    ]
    width = then_weight.shape[0]
    weights = [tensor("outer", drawn(width, width, seed=5)), tensor("zero", np.array(0, np.float32))]
    return saved(path, nodes, {"x": ["batch", width]}, {"y": ["batch", then_weight.shape[1]]}, weights)


def shared_model(path: Path, weight: np.ndarray) -> Path:
    """Write x times a square weight, twice."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    width = weight.shape[0]
    return saved(path, nodes, {"x": ["batch", width]}, {"y": ["batch", width]}, [tensor("w", weight)])


def recurrent_model(path: Path, features: int = 12, hidden: int = 16) -> Path:
    """Write an LSTM over x [steps, batch, features]."""
    nodes = [helper.make_node("LSTM", ["x", "kernel", "recurrence"], ["y"], hidden_size=hidden)]
    weights = [
        tensor("kernel", drawn(1, 4 * hidden, features, seed=1) * np.float32(0.3)),
        tensor("recurrence", drawn(1, 4 * hidden, hidden, seed=2) * np.float32(0.3)),
    ]
    return saved(path, nodes, {"x": [5, 1, features]}, {"y": [5, 1, 1, hidden]}, weights)


def embedding_model(path: Path, table: np.ndarray) -> Path:
    """Write ids [batch, 3] -> rows of ``table``."""
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"], name="embed")]
    shape = {"ids": ["batch", 3]}
    outputs = {"y": ["batch", 3, table.shape[1]]}
    return saved(path, nodes, shape, outputs, [tensor("table", table)], integer_inputs=["ids"])


def applied(step: Any, model: Path, samples: np.ndarray | None = None) -> tuple[Path, StepReport]:
    """Return the file that a step makes of a model, and its report; ``samples`` are calibration data of input x."""
    out = model.with_name(f"made-{model.name}")
    before = model.read_bytes()
    context = StepContext(
        work_dir=model.parent,
        progress=lambda message, done, total: None,
        calibration=None if samples is None else read_calibration(pack("x", samples)),
    )
    report = step.apply(model, out, context)
    assert model.read_bytes() == before
    onnx.checker.check_model(str(out))
    return out, report


def run(path: Path, **feed: np.ndarray) -> np.ndarray:
    """Return the first output of a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


def stored(path: Path) -> dict[str, np.ndarray]:
    """Return the initializers of the main graph."""
    return {one.name: numpy_helper.to_array(one) for one in onnx.load_model(path).graph.initializer}


def op_types(path: Path) -> list[str]:
    """Return the operators of the main graph, in their order."""
    return [node.op_type for node in onnx.load_model(path).graph.node]


def sqnr_db(wanted: np.ndarray, got: np.ndarray) -> float:
    """Return the ratio of signal to error in decibels."""
    return float(10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum()))
