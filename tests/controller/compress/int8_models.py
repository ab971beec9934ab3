"""Float models for the tests of quantizers (a CNN with a shortcut, an MLP, a transformer), and what measures them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from steelyard.compress.calibration import CalibrationData, read_calibration
from steelyard.compress.contract import StepContext, StepReport
from tests.controller.compress.inputs import packed_samples


class Graph:
    """Collects nodes and stored tensors, drawn with a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def store(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def drawn(self, name: str, *shape: int, scale: float = 0.3) -> str:
        return self.store(name, self.rng.standard_normal(shape) * scale)

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=f"{output}_node", **attributes))
        return output

    def conv(self, source: str, output: str, inputs: int, outputs: int, kernel: int = 3, **attributes: Any) -> str:
        weight = self.drawn(f"{output}_w", outputs, inputs // attributes.get("group", 1), kernel, kernel)
        attributes.setdefault("pads", [kernel // 2] * 4)
        return self.node("Conv", [source, weight, self.drawn(f"{output}_b", outputs)], output, **attributes)

    def batchnorm(self, source: str, output: str, channels: int) -> str:
        names = [
            self.store(f"{output}_scale", self.rng.uniform(0.5, 2.0, channels)),
            self.drawn(f"{output}_bias", channels),
            self.drawn(f"{output}_mean", channels),
            self.store(f"{output}_var", self.rng.uniform(0.5, 2.0, channels)),
        ]
        return self.node("BatchNormalization", [source, *names], output)

    def write(
        self,
        path: Path,
        inputs: Sequence[tuple[str, Sequence[object]]],
        output: tuple[str, Sequence[object]],
        *,
        opset: int = 17,
        ir_version: int = 8,
    ) -> Path:
        def value(name: str, shape: Sequence[object]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))  # type: ignore[call-overload,no-any-return]

        graph = helper.make_graph(self.nodes, "net", [value(*one) for one in inputs], [value(*output)], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
        onnx.checker.check_model(model)
        onnx.save_model(model, path)
        return path


def shortcut_cnn(path: Path, *, channels: int = 16, opset: int = 17, with_batchnorm: bool = True) -> Path:
    """Write conv, BatchNorm, Relu, max pool, two convolutions beside a shortcut, average pool, head; five layers."""
    net = Graph()
    last = net.conv("image", "first", 1, channels)
    last = net.batchnorm(last, "normed", channels) if with_batchnorm else last
    last = net.node("Relu", [last], "first_relu")
    pooled = net.node("MaxPool", [last], "max_pooled", kernel_shape=[2, 2], strides=[2, 2])
    last = net.node("Relu", [net.conv(pooled, "second", channels, channels)], "second_relu")
    last = net.conv(last, "third", channels, channels, group=channels)
    last = net.node("Relu", [net.node("Add", [last, pooled], "sum")], "sum_relu")
    last = net.node("Relu", [net.conv(last, "fourth", channels, channels, kernel=1)], "fourth_relu")
    last = net.node("Flatten", [net.node("GlobalAveragePool", [last], "pooled")], "flat")
    head = [last, net.drawn("head_w", channels, 10), net.drawn("head_b", 10)]
    net.node("Gemm", head, "logits")
    return net.write(path, [("image", ["batch", 1, 12, 12])], ("logits", ["batch", 10]), opset=opset)


def mlp(path: Path, widths: Sequence[int] = (24, 48, 32, 10), opset: int = 17) -> Path:
    """Write matrix products with biases and Relus between them: Gemm, MatMul and Add in turn."""
    net = Graph()
    last = "x"
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        weight, bias = net.drawn(f"w{number}", inputs, outputs), net.drawn(f"b{number}", outputs)
        if number % 2:
            last = net.node("Add", [net.node("MatMul", [last, weight], f"product{number}"), bias], f"layer{number}")
        else:
            last = net.node("Gemm", [last, weight, bias], f"layer{number}")
        if number + 2 < len(widths):
            last = net.node("Relu", [last], f"relu{number}")
    return net.write(path, [("x", ["batch", widths[0]])], (last, ["batch", widths[-1]]), opset=opset)


def transformer(path: Path, *, width: int = 32, tokens: int = 6, opset: int = 17) -> Path:
    """Write one block of one head: LayerNorm, masked attention, GELU spelled out; six products with stored weights."""
    net = Graph()
    normed = net.node("LayerNormalization", ["x", *_affine(net, "norm1", width)], "normed1", axis=-1)
    q, k, v = (_linear(net, normed, name, width, width) for name in ("q", "k", "v"))
    scores = net.node("MatMul", [q, net.node("Transpose", [k], "kt", perm=[0, 2, 1])], "scores")
    scaled = net.node("Mul", [scores, net.store("root", width**-0.5)], "scaled")
    mask = np.triu(np.full((tokens, tokens), np.finfo(np.float32).min), k=1)
    masked = net.node("Add", [scaled, net.store("mask", mask)], "masked")
    mixed = net.node("MatMul", [net.node("Softmax", [masked], "shares", axis=-1), v], "mixed")
    summed = net.node("Add", ["x", _linear(net, mixed, "out", width, width)], "summed")
    normed = net.node("LayerNormalization", [summed, *_affine(net, "norm2", width)], "normed2", axis=-1)
    wide = _linear(net, normed, "up", width, 2 * width)
    erf = net.node("Erf", [net.node("Div", [wide, net.store("root2", 2**0.5)], "divided")], "erf")
    gate = net.node("Add", [erf, net.store("one", 1.0)], "gate")
    gelu = net.node("Mul", [net.node("Mul", [wide, gate], "gated"), net.store("half", 0.5)], "gelu")
    net.node("Add", [summed, _linear(net, gelu, "down", 2 * width, width)], "y")
    return net.write(path, [("x", ["batch", tokens, width])], ("y", ["batch", tokens, width]), opset=opset)


def _affine(net: Graph, name: str, width: int) -> tuple[str, str]:
    return net.store(f"{name}_scale", np.ones(width)), net.drawn(f"{name}_bias", width)


def _linear(net: Graph, source: str, name: str, inputs: int, outputs: int) -> str:
    product = net.node("MatMul", [source, net.drawn(f"{name}_w", inputs, outputs)], f"{name}_product")
    return net.node("Add", [product, net.drawn(f"{name}_b", outputs)], name)


def samples(count: int, *shape: int, name: str = "x", seed: int = 0) -> CalibrationData:
    return read_calibration(packed_samples(count, shape, name, seed))


def applied(step: Any, model: Path, data: CalibrationData | None = None, **fields: Any) -> tuple[Path, StepReport]:
    """Write and return what a step makes of a model, beside it."""
    work_dir = model.parent / "work"
    work_dir.mkdir(exist_ok=True)
    out_path = model.with_name(f"{model.stem}-made.onnx")
    context = StepContext(work_dir=work_dir, progress=lambda *_: None, calibration=data, **fields)
    return out_path, step.apply(model, out_path, context)


def ops(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model(path).graph.node)


def run_ops(path: Path) -> Counter[str]:
    """Return the operators that onnxruntime really runs, with all its optimizations."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".run.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return ops(path.with_suffix(".run.onnx"))


def outputs(path: Path, feed: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def drawn(*shape: int, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sqnr_db(expected: np.ndarray, given: np.ndarray) -> float:
    noise = float(np.square(expected.astype(np.float64) - given).sum())
    return 10 * float(np.log10(np.square(expected.astype(np.float64)).sum() / max(noise, 1e-30)))
