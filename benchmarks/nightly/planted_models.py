"""The models of the real nights, made here: two that an older ONNX Runtime runs slower, and a classifier with data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_LEAK = 0.1


def write_enhancer(path: Path, *, blocks: int) -> None:
    """Write depthwise and pointwise convolutions with LeakyRelu between them, the more ``blocks`` the slower."""
    random = np.random.default_rng(1)
    nodes, weights, at = [], [], "x"
    for block in range(blocks):
        for kind, shape, attributes in (
            ("depth", (32, 1, 3, 3), {"group": 32, "pads": [1, 1, 1, 1]}),
            ("point", (32, 32, 1, 1), {}),
        ):
            name = f"{kind}{block}"
            weights.append(_convolution(random, shape, name))
            nodes.append(helper.make_node("Conv", [at, f"{name}_w"], [f"{name}_c"], **attributes))
            nodes.append(helper.make_node("LeakyRelu", [f"{name}_c"], [f"{name}_y"], alpha=_LEAK))
            at = f"{name}_y"
    _write(path, nodes, weights, at, (1, 32, 48, 48))


def write_upscaler(path: Path) -> None:
    """Write two pointwise convolutions, each with its output doubled in height and width."""
    random = np.random.default_rng(4)
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    nodes, weights, at = [], [scales], "x"
    for block in range(2):
        weights.append(_convolution(random, (12, 12, 1, 1), f"c{block}"))
        nodes.append(helper.make_node("Conv", [at, f"c{block}_w"], [f"c{block}"]))
        nodes.append(helper.make_node("Resize", [f"c{block}", "", "scales"], [f"r{block}"], mode="nearest"))
        at = f"r{block}"
    _write(path, nodes, weights, at, (1, 12, 24, 24))


def write_encoder(path: Path) -> None:
    """Write six blocks of layer normalization and a product of matrices."""
    random = np.random.default_rng(2)
    nodes, weights, at, width = [], [], "x", 256
    for block in range(6):
        for suffix, values in (("g", np.ones(width)), ("b", np.zeros(width))):
            weights.append(numpy_helper.from_array(values.astype(np.float32), f"n{block}{suffix}"))
        values = random.standard_normal((width, width)).astype(np.float32) / np.float32(np.sqrt(width))
        weights.append(numpy_helper.from_array(values, f"w{block}"))
        nodes.append(helper.make_node("LayerNormalization", [at, f"n{block}g", f"n{block}b"], [f"n{block}"]))
        nodes.append(helper.make_node("MatMul", [f"n{block}", f"w{block}"], [f"y{block}"]))
        at = f"y{block}"
    _write(path, nodes, weights, at, (96, width))


def write_less_accurate(good: Path, path: Path, *, noise: float) -> None:
    """Write a model whose weights have noise, relative to the deviation of each tensor: as fast, less accurate."""
    random = np.random.default_rng(3)
    model = onnx.load(good)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1:
            drawn = random.standard_normal(values.shape).astype(np.float32) * np.float32(noise) * values.std()
            tensor.CopyFrom(numpy_helper.from_array(values + drawn, tensor.name))
    onnx.save(model, path)


def _convolution(random: np.random.Generator, shape: tuple[int, ...], name: str) -> onnx.TensorProto:
    values = random.standard_normal(shape).astype(np.float32) * np.float32(np.sqrt(2.0 / np.prod(shape[1:])))
    return numpy_helper.from_array(values, f"{name}_w")


def _write(
    path: Path, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], output: str, shape: tuple[int, ...]
) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
