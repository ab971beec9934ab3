"""A float and a static int8 TFLite classifier with the same weights, written with the schema that ai-edge-litert has.

image float32 [1, 28, 28, 1] -> FULLY_CONNECTED with ReLU -> FULLY_CONNECTED -> logits float32 [1, 10]; the int8 one has
QUANTIZE before and DEQUANTIZE after them, as converters write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HIDDEN = 64
_CLASSES = 10
_INPUT_SHAPE = (1, 28, 28, 1)
# Operator versions that take int8, of the TFLite operator registry.
_FULLY_CONNECTED_VERSION, _QUANTIZE_VERSION, _DEQUANTIZE_VERSION = 4, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Two layers: weights float32 [outputs, inputs] and biases [outputs]."""

    weights: tuple[NDArray[np.float32], NDArray[np.float32]]
    biases: tuple[NDArray[np.float32], NDArray[np.float32]]


def fit(images: NDArray[np.float32], labels: NDArray[np.uint8]) -> Layers:
    """Return random features under a least-squares readout: seconds of training would give no better figure here."""
    rng = np.random.default_rng(0)
    flat = images.reshape(len(images), -1)
    first = (rng.standard_normal((_HIDDEN, flat.shape[1])) / np.sqrt(flat.shape[1])).astype(np.float32)
    offset = (rng.standard_normal(_HIDDEN) * 0.1).astype(np.float32)
    hidden = np.maximum(flat @ first.T + offset, 0.0).astype(np.float64)
    extended = np.hstack([hidden, np.ones((len(hidden), 1))])
    gram = extended.T @ extended + 0.1 * np.eye(extended.shape[1])
    readout = np.linalg.solve(gram, extended.T @ np.eye(_CLASSES)[labels]).astype(np.float32)
    return Layers(weights=(first, np.ascontiguousarray(readout[:-1].T)), biases=(offset, readout[-1]))


def write_float(path: Path, layers: Layers) -> Path:
    """Write the float model."""
    graph = _Graph()
    image = graph.tensor("image", _INPUT_SHAPE, np.float32)
    last = image
    for index, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        width = weight.shape[0]
        name = "hidden" if index == 0 else "logits"
        following = graph.tensor(name, (1, width), np.float32)
        graph.fully_connected(last, graph.constant(weight), graph.constant(bias), following, relu=index == 0)
        last = following
    return graph.write(path, image, last)


def write_int8(path: Path, layers: Layers, images: NDArray[np.float32]) -> Path:
    """Write the int8 model with the ranges that ``images`` [N, 28, 28, 1] show; the last scale is its output's step."""
    flat = images.reshape(len(images), -1)
    hidden = np.maximum(flat @ layers.weights[0].T + layers.biases[0], 0.0)
    scales = [_affine(one) for one in (flat, hidden, hidden @ layers.weights[1].T + layers.biases[1])]
    graph = _Graph()
    image = graph.tensor("image", _INPUT_SHAPE, np.float32)
    last = graph.tensor("image_int8", _INPUT_SHAPE, np.int8, scales[0])
    graph.plain("QUANTIZE", _QUANTIZE_VERSION, image, last)
    for index, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        weight_scale = float(np.abs(weight).max()) / 127.0
        packed = graph.constant(np.round(weight / weight_scale).astype(np.int8), (weight_scale, 0))
        bias_scale = scales[index][0] * weight_scale
        added = graph.constant(np.round(bias / bias_scale).astype(np.int32), (bias_scale, 0))
        following = graph.tensor(f"layer{index}", (1, weight.shape[0]), np.int8, scales[index + 1])
        graph.fully_connected(last, packed, added, following, relu=index == 0)
        last = following
    logits = graph.tensor("logits", (1, _CLASSES), np.float32)
    graph.plain("DEQUANTIZE", _DEQUANTIZE_VERSION, last, logits)
    return graph.write(path, image, logits)


def output_step(layers: Layers, images: NDArray[np.float32]) -> float:
    """Return the scale of the int8 model's output."""
    hidden = np.maximum(images.reshape(len(images), -1) @ layers.weights[0].T + layers.biases[0], 0.0)
    return _affine(hidden @ layers.weights[1].T + layers.biases[1])[0]


def _affine(values: NDArray[np.float32]) -> tuple[float, int]:
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = (high - low) / 255.0
    return scale, round(-128 - low / scale)


class _Graph:
    """One subgraph in the making; tensors are known by their index."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]
        self._operators: list[Any] = []
        self._codes: list[Any] = []

    def tensor(
        self, name: str, shape: Sequence[int], dtype: type, affine: tuple[float, int] | None = None, buffer: int = 0
    ) -> int:
        made = self._schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), np.array(shape, np.int32), buffer
        kinds = {np.float32: "FLOAT32", np.int8: "INT8", np.int32: "INT32"}
        made.type = getattr(self._schema.TensorType, kinds[dtype])
        if affine is not None:
            made.quantization = self._schema.QuantizationParametersT()
            made.quantization.scale = np.array([affine[0]], np.float32)
            made.quantization.zeroPoint = np.array([affine[1]], np.int64)
        self._tensors.append(made)
        return len(self._tensors) - 1

    def constant(self, values: NDArray[Any], affine: tuple[float, int] | None = None) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._buffers.append(buffer)
        name = f"constant{len(self._buffers)}"
        return self.tensor(name, values.shape, values.dtype.type, affine, len(self._buffers) - 1)

    def plain(self, op: str, version: int, source: int, target: int) -> None:
        self._operator(op, version, [source], target)

    def fully_connected(self, source: int, weight: int, bias: int, target: int, *, relu: bool) -> None:
        operator = self._operator("FULLY_CONNECTED", _FULLY_CONNECTED_VERSION, [source, weight, bias], target)
        operator.builtinOptionsType = self._schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = self._schema.FullyConnectedOptionsT()
        functions = self._schema.ActivationFunctionType
        operator.builtinOptions.fusedActivationFunction = functions.RELU if relu else functions.NONE

    def _operator(self, op: str, version: int, sources: list[int], target: int) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(self._schema.BuiltinOperator, op)
        code.version = version
        self._codes.append(code)
        operator = self._schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self._codes) - 1, sources, [target]
        self._operators.append(operator)
        return operator

    def write(self, path: Path, source: int, target: int) -> Path:
        import flatbuffers

        graph = self._schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self._tensors, self._operators, b"main"
        graph.inputs, graph.outputs = [source], [target]
        model = self._schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs = 3, self._codes, [graph]
        model.buffers, model.description = self._buffers, b"steelyard tests"
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path
