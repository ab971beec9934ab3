"""Small networks drawn by chance, in whose times the cost of each kind of layer is found; none is a model of anybody.

Shapes are drawn evenly on a scale of ratios over what networks for small devices have. Weights are random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

_CHANNELS = (6, 8, 12, 16, 18, 20, 24, 32, 40, 48, 50, 64, 72, 96, 128, 160, 256)
_SIDES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 112)
_WIDTHS = (32, 64, 128, 192, 256, 384, 512, 1024, 2048)
_ROWS = (1, 1, 1, 4, 32)
_LENGTHS = (16, 21, 64, 100, 256, 1000)
_ACTIVATIONS = ("HardSwish", "HardSigmoid", "Sigmoid", "LeakyRelu", "Tanh")
# Of one inference: below, the session itself is all that is timed; above, a net takes too much of the time there is.
LEAST_MACS, MOST_MACS = 20_000, 150_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticNet:
    """A network and the shape of its one input "x"; ``family`` says how it was drawn."""

    family: str
    seed: int
    model: ModelProto
    input_shape: tuple[int, ...]


def synthetic_net(seed: int) -> SyntheticNet:
    """Draw a network; the same seed gives the same bytes.

    Families take turns by the seed; draws outside of ``LEAST_MACS`` to ``MOST_MACS`` are thrown away.
    """
    families = tuple(_FAMILIES)
    family = families[seed % len(families)]
    rng = np.random.default_rng(seed)
    while True:
        net = _Net(rng)
        shape = _FAMILIES[family](net)
        if LEAST_MACS <= net.mac_count <= MOST_MACS:
            return SyntheticNet(family=family, seed=seed, model=net.model(shape), input_shape=shape)


class _Net:
    """A graph that grows at its end; ``channels`` and ``height`` x ``width`` are what leaves the last node."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.mac_count = 0
        self.channels = self.height = self.width = 0
        self.at = "x"
        self._nodes: list[Any] = []
        self._stored: list[Any] = []

    def pick(self, values: tuple[int, ...]) -> int:
        return int(self.rng.choice(values))

    def begin(self, channels: int) -> tuple[int, ...]:
        """Return the shape of the input; some have the channels last, and are turned first."""
        self.channels = channels
        self.height = self.pick(_SIDES)
        self.width = self.height if self.rng.random() < 0.7 else self.pick(_SIDES)
        if self.rng.random() < 0.2:
            self.node("Transpose", perm=[0, 3, 1, 2])
            return (1, self.height, self.width, channels)
        return (1, channels, self.height, self.width)

    def begin_row(self, channels: int) -> tuple[int, ...]:
        """Return the shape of an input of one row."""
        self.channels, self.height, self.width = channels, 1, self.pick(_LENGTHS)
        return (1, channels, self.width)

    def node(self, kind: str, *more: str, **attributes: Any) -> str:
        from onnx import helper

        made = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [self.at, *more], [made], name=f"{kind}_{made}", **attributes))
        self.at = made
        return made

    def conv(self, out: int, kernel: tuple[int, ...], *, stride: int = 1, depthwise: bool = False) -> None:
        """Add a convolution, padded to keep the size; a ``kernel`` of one size runs along a row."""
        group = self.channels if depthwise else 1
        shape = (self.channels if depthwise else out, self.channels // group, *kernel)
        weights = self._store(shape, fan_in=int(np.prod(shape[1:]))), self._store((shape[0],), fan_in=100)
        pads = [size // 2 for size in kernel] * 2
        strides = [stride] * len(kernel)
        self.node("Conv", *weights, kernel_shape=list(kernel), pads=pads, strides=strides, group=group)
        self.channels = shape[0]
        self.height, self.width = -(-self.height // stride), -(-self.width // stride)
        self.mac_count += self.height * self.width * int(np.prod(shape))

    def relu(self) -> None:
        self.node("Relu")

    def gemm(self, out: int, depth: int, rows: int = 1) -> None:
        transposed = int(self.rng.integers(2))
        shape = (out, depth) if transposed else (depth, out)
        self.node("Gemm", self._store(shape, fan_in=depth), self._store((out,), fan_in=100), transB=transposed)
        self.mac_count += rows * out * depth

    def normalize(self, channels: int) -> None:
        ones = [self._store((channels,), fan_in=2) for _ in range(3)]
        self.node("BatchNormalization", *ones, self._positive(channels))

    def head(self) -> None:
        """End as classifiers do."""
        self.node("GlobalAveragePool")
        self.node("Flatten", axis=1)
        self.gemm(self.pick((2, 10, 100)), self.channels)
        if self.rng.random() < 0.5:
            self.node("Softmax", axis=1)

    def _positive(self, count: int) -> str:
        from onnx import numpy_helper

        name = f"w{len(self._stored)}"
        values = self.rng.uniform(0.5, 2.0, count).astype(np.float32)
        self._stored.append(numpy_helper.from_array(values, name))
        return name

    def _store(self, shape: tuple[int, ...], *, fan_in: int) -> str:
        from onnx import numpy_helper

        values = self.rng.standard_normal(shape) * np.sqrt(2.0 / max(fan_in, 1))
        name = f"w{len(self._stored)}"
        self._stored.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def model(self, shape: tuple[int, ...]) -> ModelProto:
        from onnx import TensorProto, helper

        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
        made = helper.make_tensor_value_info(self.at, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "synthetic", [given], [made], self._stored)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def _dense(net: _Net) -> tuple[int, ...]:
    """Dense convolutions of one kernel in a row, two widths in turn."""
    shape = net.begin(net.pick(_CHANNELS))
    kernel = ((3, 3), (3, 3), (3, 3), (5, 5), (3, 1), (1, 3))[net.pick((0, 1, 2, 3, 4, 5))]
    other = net.pick(_CHANNELS)
    first = net.channels
    for index in range(net.pick((2, 3, 4))):
        net.conv((other, first)[index % 2], kernel)
        net.relu()
    return shape


def _pointwise(net: _Net) -> tuple[int, ...]:
    """Pointwise convolutions in a row, two widths in turn."""
    shape = net.begin(net.pick(_CHANNELS))
    first, other = net.channels, net.pick(_CHANNELS)
    for index in range(net.pick((2, 4, 6))):
        net.conv((other, first)[index % 2], (1, 1))
        net.relu()
    return shape


def _depthwise(net: _Net) -> tuple[int, ...]:
    """Depthwise convolutions in a row, as no model has them: their cost by itself."""
    shape = net.begin(net.pick(_CHANNELS))
    kernel = net.pick((3, 3, 3, 5))
    for _ in range(net.pick((2, 4, 6))):
        net.conv(0, (kernel, kernel), depthwise=True)
        net.relu()
    return shape


def _separable(net: _Net) -> tuple[int, ...]:
    """A stem, then depthwise and pointwise convolutions in turn, as in MobileNet (Howard et al. 2017)."""
    shape = net.begin(net.pick((1, 3)))
    net.conv(net.pick(_CHANNELS), (3, 3), stride=net.pick((1, 2)))
    net.relu()
    for _ in range(net.pick((2, 4, 8))):
        net.conv(0, (3, 3), stride=_stride(net), depthwise=True)
        net.relu()
        net.conv(net.channels * net.pick((1, 1, 2)), (1, 1))
        net.relu()
    net.head()
    return shape


def _residual(net: _Net) -> tuple[int, ...]:
    """A stem, then blocks of two dense convolutions beside a shortcut (He et al. 2015)."""
    shape = net.begin(net.pick((1, 3)))
    net.conv(net.pick(_CHANNELS[:10]), (3, 3))
    net.relu()
    for _ in range(net.pick((1, 2, 3))):
        before = net.at
        net.conv(net.channels, (3, 3))
        net.relu()
        net.conv(net.channels, (3, 3))
        net.node("Add", before)
        net.relu()
    net.head()
    return shape


def _inverted(net: _Net) -> tuple[int, ...]:
    """A stem, then blocks that widen, convolve by channel and narrow (Sandler et al. 2018)."""
    shape = net.begin(net.pick((1, 3)))
    net.conv(net.pick((8, 16, 24, 32)), (3, 3), stride=net.pick((1, 2)))
    net.relu()
    for _ in range(net.pick((1, 2, 4))):
        before, narrow = net.at, net.channels
        net.conv(narrow * net.pick((2, 4, 6)), (1, 1))
        net.relu()
        net.conv(0, (3, 3), depthwise=True)
        net.relu()
        net.conv(narrow, (1, 1))
        net.node("Add", before)
    net.head()
    return shape


def _pooled(net: _Net) -> tuple[int, ...]:
    """A stem, then convolutions with pooling between them, and two matrix products (LeCun et al. 1998)."""
    shape = net.begin(net.pick((1, 3)))
    for _ in range(net.pick((2, 3))):
        net.conv(net.pick(_CHANNELS[:10]), (net.pick((3, 5)),) * 2)
        net.relu()
        net.node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        net.height, net.width = net.height // 2, net.width // 2
        if min(net.height, net.width) < 4:
            break
    net.node("Flatten", axis=1)
    hidden = net.pick(_WIDTHS[:4])
    net.gemm(hidden, net.channels * net.height * net.width)
    net.relu()
    net.gemm(10, hidden)
    return shape


def _perceptron(net: _Net) -> tuple[int, ...]:
    """Matrix products with stored weights and Relu between them."""
    rows, depth = net.pick(_ROWS), net.pick(_WIDTHS)
    first, normalized = depth, net.rng.random() < 0.4
    for _ in range(net.pick((2, 3, 4, 6, 10))):
        out = net.pick(_WIDTHS)
        net.gemm(out, depth, rows)
        if normalized:
            net.normalize(out)
        net.relu()
        depth = out
    return (rows, first)


def _row(net: _Net) -> tuple[int, ...]:
    """Convolutions along a row, dense, pointwise or by channel, as for sound."""
    shape = net.begin_row(net.pick(_CHANNELS))
    for index in range(net.pick((2, 3, 4))):
        if index % 2 and net.rng.random() < 0.6:
            net.conv(0, (net.pick((3, 5)),), depthwise=True)
        else:
            net.conv(net.pick(_CHANNELS), (net.pick((1, 1, 3, 5)),))
        net.relu()
    return shape


def _activated(net: _Net) -> tuple[int, ...]:
    """Convolutions with a function behind each that is no Relu."""
    shape = net.begin(net.pick(_CHANNELS[:10]))
    kind = _ACTIVATIONS[int(net.rng.integers(len(_ACTIVATIONS)))]
    for _ in range(net.pick((2, 3, 4))):
        net.conv(net.pick(_CHANNELS[:10]), (1, 1) if net.rng.random() < 0.5 else (3, 3))
        net.node(kind)
    return shape


def _joined(net: _Net) -> tuple[int, ...]:
    """A stem, then two convolutions of one input side by side, joined (Iandola et al. 2016)."""
    shape = net.begin(net.pick((1, 3)))
    net.conv(net.pick(_CHANNELS[:10]), (3, 3))
    net.relu()
    for _ in range(net.pick((1, 2))):
        given, channels = net.at, net.channels
        net.conv(net.pick((8, 16, 32, 48)), (1, 1))
        net.relu()
        one, one_channels = net.at, net.channels
        net.at, net.channels = given, channels
        net.conv(net.pick((8, 16, 32, 48)), (3, 3))
        net.relu()
        net.node("Concat", one, axis=1)
        net.channels += one_channels
    net.head()
    return shape


def _stride(net: _Net) -> int:
    return 2 if min(net.height, net.width) >= 8 and net.rng.random() < 0.4 else 1


_FAMILIES: dict[str, Callable[[_Net], tuple[int, ...]]] = {
    "dense": _dense,
    "pointwise": _pointwise,
    "depthwise": _depthwise,
    "separable": _separable,
    "residual": _residual,
    "inverted": _inverted,
    "pooled": _pooled,
    "perceptron": _perceptron,
    "row": _row,
    "activated": _activated,
    "joined": _joined,
}
