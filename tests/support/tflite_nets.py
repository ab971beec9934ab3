"""Writes small TFLite networks that run, with seeded weights: layers are added one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SAME, VALID = 0, 1
NO_ACTIVATION, RELU, RELU6 = 0, 1, 3
_TYPES = {"float32": 0, "float16": 1, "int32": 2, "int64": 4}


class Net:
    """A graph in the making; tensors are known by their number."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]
        self.operators: list[Any] = []
        self._codes: dict[str, int] = {}
        self._made_codes: list[Any] = []

    def tensor(self, name: str, shape: Sequence[int], dtype: str = "float32", *, open_batch: bool = False) -> int:
        """Add a tensor without values."""
        made = self._schema.TensorT()
        made.name, made.type, made.shape = name.encode(), _TYPES[dtype], np.array(shape, np.int32)
        if open_batch:
            made.shapeSignature = np.array([-1, *shape[1:]], np.int32)
        self._tensors.append(made)
        return len(self._tensors) - 1

    def constant(self, values: np.ndarray) -> int:
        """Add a tensor with values."""
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._buffers.append(buffer)
        made = self.tensor(f"constant{len(self._buffers)}", values.shape, values.dtype.name)
        self._tensors[made].buffer = len(self._buffers) - 1
        return made

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._tensors[tensor].shape)

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str = "",
        *,
        custom: str = "",
        **fields: Any,
    ) -> int:
        """Add an operator by its name in the schema, with its options class and their fields; its first output."""
        made = self._schema.OperatorT()
        made.opcodeIndex = self._code(kind, custom)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options:
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            made.builtinOptions = getattr(self._schema, f"{options}T")(**fields)
        self.operators.append(made)
        return outputs[0]

    def conv(
        self,
        source: int,
        weight: np.ndarray,
        *,
        stride: int = 1,
        padding: int = SAME,
        activation: int = RELU6,
        name: str = "",
    ) -> int:
        """Add a CONV_2D with weights [outputs, height, width, inputs] and a small bias."""
        size = _convolved(self.shape(source)[1:3], weight.shape[1:3], stride, padding)
        made = self.tensor(name or f"conv{len(self.operators)}", (self.shape(source)[0], *size, weight.shape[0]))
        return self.operator(
            "CONV_2D",
            [source, self.constant(weight), self.constant(_bias(weight.shape[0]))],
            [made],
            "Conv2DOptions",
            padding=padding,
            strideW=stride,
            strideH=stride,
            fusedActivationFunction=activation,
        )

    def depthwise(
        self, source: int, weight: np.ndarray, *, stride: int = 1, padding: int = SAME, activation: int = RELU6
    ) -> int:
        """Add a DEPTHWISE_CONV_2D with weights [1, height, width, channels]."""
        size = _convolved(self.shape(source)[1:3], weight.shape[1:3], stride, padding)
        made = self.tensor(f"depthwise{len(self.operators)}", (self.shape(source)[0], *size, weight.shape[3]))
        return self.operator(
            "DEPTHWISE_CONV_2D",
            [source, self.constant(weight), self.constant(_bias(weight.shape[3]))],
            [made],
            "DepthwiseConv2DOptions",
            padding=padding,
            strideW=stride,
            strideH=stride,
            depthMultiplier=weight.shape[3] // self.shape(source)[3],
            fusedActivationFunction=activation,
        )

    def pad(self, source: int, margin: int = 1) -> int:
        """Add a PAD of zeros around a picture."""
        batch, height, width, channels = self.shape(source)
        amounts = np.array([[0, 0], [margin, margin], [margin, margin], [0, 0]], np.int32)
        made = self.tensor(f"pad{len(self.operators)}", (batch, height + 2 * margin, width + 2 * margin, channels))
        return self.operator("PAD", [source, self.constant(amounts)], [made], "PadOptions")

    def mean(self, source: int) -> int:
        """Add a MEAN over height and width."""
        batch, _height, _width, channels = self.shape(source)
        made = self.tensor(f"mean{len(self.operators)}", (batch, channels))
        axes = self.constant(np.array([1, 2], np.int32))
        return self.operator("MEAN", [source, axes], [made], "ReducerOptions", keepDims=False)

    def add(self, first: int, second: int) -> int:
        made = self.tensor(f"add{len(self.operators)}", self.shape(first))
        return self.operator("ADD", [first, second], [made], "AddOptions")

    def unary(self, kind: str, source: int) -> int:
        """Add an operator with one input, one output of the same shape and no options."""
        return self.operator(kind, [source], [self.tensor(f"{kind.lower()}{len(self.operators)}", self.shape(source))])

    def softmax(self, source: int, name: str = "probabilities") -> int:
        return self.operator("SOFTMAX", [source], [self.tensor(name, self.shape(source))], "SoftmaxOptions", beta=1.0)

    def fully_connected(
        self, source: int, weight: np.ndarray, *, activation: int = NO_ACTIVATION, name: str = ""
    ) -> int:
        """Add a FULLY_CONNECTED with weights [outputs, inputs]."""
        made = self.tensor(name or f"dense{len(self.operators)}", (self.shape(source)[0], weight.shape[0]))
        return self.operator(
            "FULLY_CONNECTED",
            [source, self.constant(weight), self.constant(_bias(weight.shape[0]))],
            [made],
            "FullyConnectedOptions",
            fusedActivationFunction=activation,
        )

    def write(
        self,
        path: Path,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        signatures: int = 0,
        change: Callable[[Any], None] | None = None,
    ) -> Path:
        """Write the file; ``change`` may do what this class does not offer to the ``ModelT`` before."""
        import flatbuffers

        schema = self._schema
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self._tensors, self.operators, b"main"
        graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        model = schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs = 3, self._made_codes, [graph]
        model.buffers, model.description = self._buffers, b"steelyard tests"
        if signatures:
            model.signatureDefs = [self._signature(f"serve{index}", inputs, outputs) for index in range(signatures)]
        if change is not None:
            change(model)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path

    def _signature(self, key: str, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        made = self._schema.SignatureDefT()
        made.signatureKey = key.encode()
        made.inputs = [self._map(f"in{place}", tensor) for place, tensor in enumerate(inputs)]
        made.outputs = [self._map(f"out{place}", tensor) for place, tensor in enumerate(outputs)]
        return made

    def _map(self, name: str, tensor: int) -> Any:
        made = self._schema.TensorMapT()
        made.name, made.tensorIndex = name.encode(), tensor
        return made

    def _code(self, kind: str, custom: str) -> int:
        key = custom or kind
        if key not in self._codes:
            made = self._schema.OperatorCodeT()
            number = getattr(self._schema.BuiltinOperator, kind)
            made.builtinCode, made.deprecatedBuiltinCode, made.version = number, min(number, 127), 1
            made.customCode = custom.encode() or None
            self._codes[key] = len(self._made_codes)
            self._made_codes.append(made)
        return self._codes[key]


def weights(rng: np.random.Generator, *shape: int, zero_share: float = 0.0) -> np.ndarray:
    """Return weights that keep the scale of what they are applied to; the smallest ``zero_share`` of them are zero."""
    fan_in = int(np.prod(shape[1:]))
    drawn = (rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)
    if zero_share:
        limit = np.quantile(np.abs(drawn), zero_share)
        drawn[np.abs(drawn) <= limit] = 0.0
    return drawn


def mobile_net(
    path: Path,
    *,
    size: int = 32,
    width: int = 16,
    zero_share: float = 0.0,
    open_batch: bool = False,
    signatures: int = 0,
    probabilities: bool = False,
) -> Path:
    """Write image [1, size, size, 3] -> PAD, 3x3 convolution of stride 2, two separable blocks, MEAN -> logits [1, 10].

    One block has stride 1 and a sum around it, the other stride 2 behind a PAD; ``zero_share`` is of the 1x1 weights.
    """
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, size, size, 3), open_batch=open_batch)
    last = net.conv(net.pad(image), weights(rng, width, 3, 3, 3), stride=2, padding=VALID)
    inner = net.depthwise(last, _depthwise(rng, width))
    last = net.add(
        last, net.conv(inner, weights(rng, width, 1, 1, width, zero_share=zero_share), activation=NO_ACTIVATION)
    )
    last = net.depthwise(net.pad(last), _depthwise(rng, width), stride=2, padding=VALID)
    last = net.conv(last, weights(rng, 2 * width, 1, 1, width, zero_share=zero_share))
    last = net.fully_connected(net.mean(last), weights(rng, 10, 2 * width), name="" if probabilities else "logits")
    if probabilities:
        last = net.softmax(last)
    return net.write(path, [image], [last], signatures=signatures)


def perceptron(
    path: Path,
    *,
    features: int = 32,
    hidden: int = 64,
    scale: float = 1.0,
    shift: float = 0.0,
    open_batch: bool = False,
) -> Path:
    """Write x [1, features] -> two FULLY_CONNECTED -> logits [1, 4].

    ``scale`` is of the first layer's first weight, ``shift`` is added to all weights of that layer.
    """
    rng, net = np.random.default_rng(1), Net()
    first = weights(rng, hidden, features) + np.float32(shift)
    first[0, 0] *= scale
    source = net.tensor("x", (1, features), open_batch=open_batch)
    inner = net.fully_connected(source, first, activation=RELU)
    return net.write(path, [source], [net.fully_connected(inner, weights(rng, 4, hidden), name="logits")])


def _depthwise(rng: np.random.Generator, channels: int, kernel: int = 3) -> np.ndarray:
    return (rng.standard_normal((1, kernel, kernel, channels)) * np.sqrt(2.0) / kernel).astype(np.float32)


def _bias(count: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(count).standard_normal(count)).astype(np.float32)


def _convolved(sizes: Sequence[int], kernel: Sequence[int], stride: int, padding: int) -> tuple[int, int]:
    spans = [size if padding == SAME else size - taps + 1 for size, taps in zip(sizes, kernel, strict=True)]
    height, width = (-(-span // stride) for span in spans)
    return height, width


def inverted_residuals(
    path: Path, *, size: int = 96, width: int = 24, depth: int = 4, expansion: int = 6, zero_share: float = 0.0
) -> Path:
    """Write image [1, size, size, 3] -> a stem, ``depth`` inverted residuals, MEAN -> logits [1, 10].

    Nearly all of the work is in 1x1 convolutions; ``zero_share`` is of their weights and of the classifier's.
    """
    rng, net = np.random.default_rng(0), Net()
    image = net.tensor("image", (1, size, size, 3))
    last = net.conv(net.pad(image), weights(rng, width, 3, 3, 3), stride=2, padding=VALID)
    last = net.depthwise(net.pad(last), _depthwise(rng, width), stride=2, padding=VALID)
    wide = expansion * width
    for _block in range(depth):
        inner = net.conv(last, weights(rng, wide, 1, 1, width, zero_share=zero_share))
        inner = net.depthwise(inner, _depthwise(rng, wide))
        projected = weights(rng, width, 1, 1, wide, zero_share=zero_share)
        last = net.add(last, net.conv(inner, projected, activation=NO_ACTIVATION))
    last = net.conv(last, weights(rng, 2 * wide, 1, 1, width, zero_share=zero_share))
    classifier = weights(rng, 10, 2 * wide, zero_share=zero_share)
    return net.write(path, [image], [net.fully_connected(net.mean(last), classifier, name="logits")])


def attention(path: Path, *, length: int = 16, width: int = 32) -> Path:
    """Write x [1, length, width] -> one head of attention with a sum around it, and a normalization -> y, as x."""
    rng, net = np.random.default_rng(2), Net()
    shape = (1, length, width)
    source = net.tensor("x", shape)

    def project(of: int) -> int:
        made = net.tensor(f"projected{len(net.operators)}", shape)
        inputs = [of, net.constant(weights(rng, width, width)), net.constant(_bias(width))]
        return net.operator("FULLY_CONNECTED", inputs, [made], "FullyConnectedOptions", keepNumDims=True)

    def product(first: int, second: int, size: tuple[int, ...], *, turned: bool = False) -> int:
        made = net.tensor(f"product{len(net.operators)}", size)
        return net.operator("BATCH_MATMUL", [first, second], [made], "BatchMatMulOptions", adjX=False, adjY=turned)

    scores = product(project(source), project(source), (1, length, length), turned=True)
    share = net.tensor("scaled", (1, length, length))
    net.operator("MUL", [scores, net.constant(np.array([width**-0.5], np.float32))], [share], "MulOptions")
    seen = product(net.softmax(share), project(source), shape)
    summed = net.add(source, project(seen))
    mean = net.tensor("average", (1, length, 1))
    net.operator("MEAN", [summed, net.constant(np.array([2], np.int32))], [mean], "ReducerOptions", keepDims=True)
    spread, variance = net.tensor("spread", shape), net.tensor("variance", (1, length, 1))
    net.operator("SQUARED_DIFFERENCE", [summed, mean], [spread], "SquaredDifferenceOptions")
    net.operator("MEAN", [spread, net.constant(np.array([2], np.int32))], [variance], "ReducerOptions", keepDims=True)
    scale = net.unary("RSQRT", variance)
    centred, made = net.tensor("centred", shape), net.tensor("y", shape)
    net.operator("SUB", [summed, mean], [centred], "SubOptions")
    net.operator("MUL", [centred, scale], [made], "MulOptions")
    return net.write(path, [source], [made])
