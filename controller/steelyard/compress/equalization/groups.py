"""Which channels must scale together: layers whose tensors meet through operators that a positive scale passes.

A Relu gives s * y for s * x when s is positive; so do LeakyRelu, PRelu, pooling and the sum of a residual branch when
all its terms scale alike. The tensors between layers fall into groups; a group that any other operator reads or writes,
or that the model takes or gives out, is left alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steelyard.compress.equalization.layer_weights import LAYER_OPS, LayerWeights
from steelyard.compress.qdq.graph import to_array
from steelyard.compress.qdq.pruning import names_read

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_PASSING = frozenset({
    "Relu", "LeakyRelu", "PRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Identity", "Dropout",
})  # fmt: skip


@dataclass(slots=True, kw_only=True)
class ScaleGroup:
    """Layers that give and layers that take the channels of one group of tensors; ``passing`` lies between them."""

    producers: list[LayerWeights] = field(default_factory=list)
    consumers: list[LayerWeights] = field(default_factory=list)
    passing: list[NodeProto] = field(default_factory=list)

    @property
    def channels(self) -> int:
        """The channels that its producers give."""
        return self.producers[0].output_count

    def fits(self) -> bool:
        """Return whether there is something on both sides and the channels agree."""
        if not self.producers or not self.consumers:
            return False
        counts = {layer.output_count for layer in self.producers}
        return len(counts) == 1 and all(layer.input_count % self.channels == 0 for layer in self.consumers)


class ChannelGroups:
    """The groups of a folded float model; ``unreached`` are the outputs of Clip nodes that act as Relu."""

    def __init__(self, model: ModelProto, unreached: Collection[str] = ()) -> None:
        self._model = model
        self._unreached = unreached
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._ranks = _ranks(model)
        self._shapes = _shapes(model)
        self._reads = Counter(name for node in model.graph.node for name in names_read(node))
        # A weight that the model also gives out must stay what it is.
        self._reads.update(value.name for value in model.graph.output)
        self._parents: dict[str, str] = {}
        self._barred: set[str] = set()
        self._found: list[tuple[str, Callable[[ScaleGroup], None]]] = []
        self.layers: list[LayerWeights] = []
        self.groups = self._collect()

    def _collect(self) -> tuple[ScaleGroup, ...]:
        graph = self._model.graph
        self._barred.update(value.name for value in [*graph.input, *graph.output])
        for node in graph.node:
            self._visit(node)
        barred = {self._root(name) for name in self._barred}
        groups: dict[str, ScaleGroup] = {}
        for name, add in self._found:
            root = self._root(name)
            if root not in barred:
                add(groups.setdefault(root, ScaleGroup()))
        return tuple(group for group in groups.values() if group.fits())

    def _visit(self, node: NodeProto) -> None:
        layer = self._layer(node)
        if layer is not None:
            self.layers.append(layer)
            self._found.append((node.input[0], lambda group: group.consumers.append(layer)))
            self._found.append((node.output[0], lambda group: group.producers.append(layer)))
        elif self._passes(node):
            names = [name for name in (*node.input, node.output[0]) if name and name not in self._tensors]
            for name in names[1:]:
                self._join(names[0], name)
            self._found.append((node.output[0], lambda group: group.passing.append(node)))
        else:
            self._barred.update((*names_read(node), *node.output))

    def _layer(self, node: NodeProto) -> LayerWeights | None:
        """Return the numbers of a layer that alone reads its weight and bias, and whose channels are on axis 1."""
        if node.op_type not in LAYER_OPS or node.domain not in {"", "ai.onnx"} or node.input[0] in self._tensors:
            return None
        names = [name for name in node.input[1:] if name]
        if any(name not in self._tensors or self._reads[name] != 1 for name in names):
            return None
        if node.op_type == "MatMul" and (self._ranks.get(node.input[0]) != 2 or len(self._tensors[names[0]].dims) != 2):
            return None
        if any(one.name == "transA" and one.i for one in node.attribute):
            return None
        arrays = [to_array(self._tensors[name]) for name in names]
        layer = LayerWeights(node, arrays[0], arrays[1] if len(arrays) > 1 else None)
        return layer if layer.bias is None or layer.bias.shape == (layer.output_count,) else None

    def _passes(self, node: NodeProto) -> bool:
        if node.domain not in {"", "ai.onnx"}:
            return False
        passes = False
        if node.op_type in _PASSING:
            passes = all(not name or name in self._tensors for name in node.input[1:]) and len(node.output) == 1
        elif node.op_type == "Clip":
            passes = node.output[0] in self._unreached or self._is_relu(node)
        elif node.op_type == "Flatten":
            passes = all(one.i == 1 for one in node.attribute if one.name == "axis")
        elif node.op_type == "Reshape":
            passes = self._flattens(node)
        elif node.op_type in {"Add", "Sum"}:
            shapes = {self._shapes.get(name) for name in node.input if name not in self._tensors}
            passes = len(shapes) == 1 and None not in shapes and not any(name in self._tensors for name in node.input)
        return passes

    def _is_relu(self, node: NodeProto) -> bool:
        names = [*node.input[1:], "", ""]
        low = self._tensors.get(names[0])
        # Exporters store it as a scalar or as one value in a list.
        return low is not None and float(to_array(low).reshape(-1)[0]) == 0.0 and not names[1]

    def _flattens(self, node: NodeProto) -> bool:
        """Return whether a Reshape keeps the batch and makes one axis of the rest."""
        shape = self._tensors.get(node.input[1])
        before = self._shapes.get(node.input[0])
        if shape is None or before is None or list(shape.dims) != [2]:
            return False
        first, second = (int(size) for size in to_array(shape))
        sizes = [size for size in before[1:] if isinstance(size, int)]
        width = math.prod(sizes) if len(sizes) == len(before) - 1 else None
        return (first in {0, before[0]} or second == width) and second in {-1, width}

    def _root(self, name: str) -> str:
        while self._parents.get(name, name) != name:
            name = self._parents[name]
        return name

    def _join(self, one: str, other: str) -> None:
        self._parents[self._root(one)] = self._root(other)


def _shapes(model: ModelProto) -> dict[str, tuple[int | str, ...]]:
    """Return the shapes of tensors that shape inference knows; open sizes are names, "" where they have none."""
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    found: dict[str, tuple[int | str, ...]] = {}
    for value in values:
        if value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            found[value.name] = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in dims)
    return found


def _ranks(model: ModelProto) -> dict[str, int]:
    return {name: len(shape) for name, shape in _shapes(model).items()}
