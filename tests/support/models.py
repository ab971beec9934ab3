"""Small deterministic ONNX models for tests; each function writes one file and returns its path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 10
OPSET_VERSION = 20
# Trip count of the loops that must not end by themselves.
_FOREVER = 1 << 60


def linear_model(path: Path, features: int = 4, classes: int = 3, seed: int = 0, batch: int | str = "batch") -> Path:
    """Write x [batch, features] -> Gemm -> logits [batch, classes]."""
    rng = np.random.default_rng(seed)
    weights = [
        _tensor("weight", rng.standard_normal((features, classes))),
        _tensor("bias", rng.standard_normal(classes)),
    ]
    nodes = [helper.make_node("Gemm", ["x", "weight", "bias"], ["logits"])]
    return _write(
        path, nodes, [_float("x", [batch, features])], [_float("logits", [batch, classes])], weights, name="linear"
    )


def conv_model(path: Path, channels: int = 8, size: int = 12, classes: int = 10, depth: int = 1, seed: int = 0) -> Path:
    """Write image [batch, 1, size, size] -> ``depth`` times Conv and Relu -> GlobalAveragePool -> Gemm -> logits."""
    rng = np.random.default_rng(seed)
    weights = []
    nodes = []
    last, last_channels = "image", 1
    for layer in range(depth):
        weights.append(_tensor(f"kernel{layer}", rng.standard_normal((channels, last_channels, 3, 3)) * 0.3))
        weights.append(_tensor(f"offset{layer}", rng.standard_normal(channels) * 0.1))
        nodes.append(
            helper.make_node("Conv", [last, f"kernel{layer}", f"offset{layer}"], [f"conv{layer}"], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"conv{layer}"], [f"relu{layer}"]))
        last, last_channels = f"relu{layer}", channels
    weights += [
        _tensor("weight", rng.standard_normal((channels, classes))),
        _tensor("bias", rng.standard_normal(classes)),
    ]
    nodes += _pooled_head(last)
    inputs = [_float("image", ["batch", 1, size, size])]
    return _write(path, nodes, inputs, [_float("logits", ["batch", classes])], weights, name="conv")


def two_dynamic_dims_model(path: Path, classes: int = 3) -> Path:
    """Write image [batch, 3, height, width] -> GlobalAveragePool -> Gemm -> logits."""
    rng = np.random.default_rng(0)
    weights = [_tensor("weight", rng.standard_normal((3, classes))), _tensor("bias", rng.standard_normal(classes))]
    inputs = [_float("image", ["batch", 3, "height", "width"])]
    outputs = [_float("logits", ["batch", classes])]
    return _write(path, _pooled_head("image"), inputs, outputs, weights, name="two_dynamic_dims")


def token_model(path: Path, vocabulary: int = 64, width: int = 8, classes: int = 2) -> Path:
    """Write input_ids, attention_mask int64 [batch, sequence] -> embedding, masked mean, Gemm -> logits."""
    rng = np.random.default_rng(0)
    weights = [
        _tensor("embedding", rng.standard_normal((vocabulary, width))),
        _tensor("weight", rng.standard_normal((width, classes))),
        _tensor("bias", rng.standard_normal(classes)),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last_axis"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "sequence_axis"),
    ]
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["embedded"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last_axis"], ["wide_mask"]),
        helper.make_node("Mul", ["embedded", "wide_mask"], ["masked"]),
        helper.make_node("ReduceMean", ["masked", "sequence_axis"], ["pooled"], keepdims=0),
        helper.make_node("Gemm", ["pooled", "weight", "bias"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    return _write(path, nodes, inputs, [_float("logits", ["batch", classes])], weights, name="token")


def accumulator_model(path: Path, features: int = 4) -> Path:
    """Write x, h [batch, features] -> Add -> hn: the smallest state that there is."""
    nodes = [helper.make_node("Add", ["x", "h"], ["hn"])]
    inputs = [_float(name, ["batch", features]) for name in ("x", "h")]
    return _write(path, nodes, inputs, [_float("hn", ["batch", features])], [], name="accumulator")


def lstm_step_model(path: Path, features: int = 4, hidden: int = 8, classes: int = 3) -> Path:
    """Write one step of an LSTM: x [batch, features], h, c [1, batch, hidden] -> logits, hn, cn."""
    rng = np.random.default_rng(0)
    weights = [
        _tensor("kernel", rng.standard_normal((1, 4 * hidden, features)) * 0.3),
        _tensor("recurrence", rng.standard_normal((1, 4 * hidden, hidden)) * 0.3),
        _tensor("weight", rng.standard_normal((hidden, classes))),
        _tensor("bias", rng.standard_normal(classes)),
        numpy_helper.from_array(np.array([0], dtype=np.int64), "first_axis"),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["x", "first_axis"], ["sequence"]),
        helper.make_node(
            "LSTM", ["sequence", "kernel", "recurrence", "", "", "h", "c"], ["", "hn", "cn"], hidden_size=hidden
        ),
        helper.make_node("Squeeze", ["hn", "first_axis"], ["last"]),
        helper.make_node("Gemm", ["last", "weight", "bias"], ["logits"]),
    ]
    state = [1, "batch", hidden]
    inputs = [_float("x", ["batch", features]), _float("h", state), _float("c", state)]
    outputs = [_float("logits", ["batch", classes]), _float("hn", state), _float("cn", state)]
    return _write(path, nodes, inputs, outputs, weights, name="lstm_step")


def cache_step_model(path: Path, width: int = 4) -> Path:
    """Write one step with a cache that grows: x [batch, width], past [batch, past_length, width] -> y, present."""
    axis = numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["now"]),
        helper.make_node("Concat", ["past", "now"], ["present"], axis=1),
        helper.make_node("ReduceSum", ["present", "axis"], ["y"], keepdims=0),
    ]
    inputs = [_float("x", ["batch", width]), _float("past", ["batch", "past_length", width])]
    outputs = [_float("y", ["batch", width]), _float("present", ["batch", "length", width])]
    return _write(path, nodes, inputs, outputs, [axis], name="cache_step")


def sum_model(path: Path, features: int = 4) -> Path:
    """Write x [batch, features] -> ReduceSum -> y [batch]: an output without classes."""
    axis = numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")
    nodes = [helper.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=0)]
    return _write(path, nodes, [_float("x", ["batch", features])], [_float("y", ["batch"])], [axis], name="sum")


def scalar_model(path: Path) -> Path:
    """Write x -> Neg -> y of single numbers: no input has a dimension."""
    return _write(
        path, [helper.make_node("Neg", ["x"], ["y"])], [_float("x", [])], [_float("y", [])], [], name="scalar"
    )


def nan_model(path: Path, features: int = 4) -> Path:
    """Write x [batch, features] -> Sqrt -> y: NaN wherever x is negative."""
    nodes = [helper.make_node("Sqrt", ["x"], ["y"])]
    return _write(path, nodes, [_float("x", ["batch", features])], [_float("y", ["batch", features])], [], name="nan")


def endless_model(path: Path) -> Path:
    """Write a Loop that adds one to x [1, 4] until somebody ends the process."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "step"], ["next_state"]),
            helper.make_node("Identity", ["going"], ["still_going"]),
        ],
        "body",
        [_scalar("index", TensorProto.INT64), _scalar("going", TensorProto.BOOL), _float("state", [1, 4])],
        [_scalar("still_going", TensorProto.BOOL), _float("next_state", [1, 4])],
    )
    weights = [*_loop_constants(), _tensor("step", np.ones((1, 4)))]
    nodes = [helper.make_node("Loop", ["trips", "start", "x"], ["y"], body=body)]
    return _write(path, nodes, [_float("x", [1, 4])], [_float("y", [1, 4])], weights, name="endless")


def hungry_model(path: Path, side: int = 512) -> Path:
    """Write a Loop that keeps one more [side, side] matrix with each turn: 1 MiB a few milliseconds, for ever.

    The product slows the growth, so that a watcher that looks every 100 ms sees it long before the machine suffers.
    """
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "rotation"], ["next_state"]),
            helper.make_node("Identity", ["next_state"], ["kept"]),
            helper.make_node("Identity", ["going"], ["still_going"]),
        ],
        "body",
        [_scalar("index", TensorProto.INT64), _scalar("going", TensorProto.BOOL), _float("state", [side, side])],
        [_scalar("still_going", TensorProto.BOOL), _float("next_state", [side, side]), _float("kept", [side, side])],
    )
    weights = [*_loop_constants(), _tensor("rotation", np.roll(np.eye(side), 1, axis=0))]
    nodes = [helper.make_node("Loop", ["trips", "start", "x"], ["last", "all"], body=body)]
    outputs = [_float("last", [side, side]), _float("all", ["turns", side, side])]
    return _write(path, nodes, [_float("x", [side, side])], outputs, weights, name="hungry")


def enormous_model(path: Path) -> Path:
    """Write x [batch, 4] -> x + the greatest of 2^43 zeros -> y: 32 TiB that nobody can give at once."""
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20, 8], dtype=np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["greatest"], keepdims=0),
        helper.make_node("Add", ["x", "greatest"], ["y"]),
    ]
    return _write(path, nodes, [_float("x", ["batch", 4])], [_float("y", ["batch", 4])], [shape], name="enormous")


def unknown_op_model(path: Path, op: str = "Frobnicate", domain: str = "") -> Path:
    """Write x [batch, 4] -> an op that no runtime knows -> y."""
    nodes = [helper.make_node(op, ["x"], ["y"], domain=domain)]
    outputs = [_float("y", ["batch", 4])]
    return _write(path, nodes, [_float("x", ["batch", 4])], outputs, [], name="unknown_op", domain=domain)


def no_kernel_model(path: Path) -> Path:
    """Write a bfloat16 MatMul: a known op for a type that the CPU provider has no kernel for."""
    shape = [2, 2]
    inputs = [helper.make_tensor_value_info("x", TensorProto.BFLOAT16, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.BFLOAT16, shape)]
    return _write(path, [helper.make_node("MatMul", ["x", "x"], ["y"])], inputs, outputs, [], name="no_kernel")


def external_data_model(path: Path) -> Path:
    """Write the linear model with its weights in ``NAME.data`` beside it; delete that file to break the model."""
    linear_model(path, features=64, classes=64)
    model = onnx.load(str(path))
    onnx.save_model(model, str(path), save_as_external_data=True, location=path.name + ".data", size_threshold=0)
    return path


def _pooled_head(last: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
    ]


def _loop_constants() -> list[onnx.TensorProto]:
    return [
        numpy_helper.from_array(np.array(_FOREVER, dtype=np.int64), "trips"),
        numpy_helper.from_array(np.array(True), "start"),
    ]


def _tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name)


def _float(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _scalar(name: str, kind: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [])


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[onnx.TensorProto],
    *,
    name: str,
    domain: str = "",
) -> Path:
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    opsets = [helper.make_opsetid("", OPSET_VERSION)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="steelyard-tests")
    path.write_bytes(model.SerializeToString())
    return path
