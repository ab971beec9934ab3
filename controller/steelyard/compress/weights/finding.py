"""Find the stored weights of an ONNX model, with every node that reads them, in subgraphs too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})
# Where operators of the standard read weights; MatMul may have its constant on either side.
_WEIGHT_INPUTS: Mapping[str, tuple[int, ...]] = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (1,),
    "MatMul": (0, 1),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
    "Gather": (0,),
}
WEIGHT_OPS = tuple(_WEIGHT_INPUTS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightUse:
    """One node that reads a weight: the ``input_index`` of node ``node_index`` of ``graph``."""

    graph: GraphProto
    node_index: int
    input_index: int

    @property
    def node(self) -> NodeProto:
        """The node itself; changes of it change the model."""
        return self.graph.node[self.node_index]

    @property
    def is_weight(self) -> bool:
        """Whether the node reads it as a weight, as against a bias, a shape or a value."""
        node = self.node
        return node.domain in _DEFAULT_DOMAINS and self.input_index in _WEIGHT_INPUTS.get(node.op_type, ())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """A stored float tensor of two or more dimensions, and all that reads it.

    ``tensor`` is an initializer of ``graph`` or the value of its Constant node ``constant_index``; changes of it change
    the model. ``is_output``: a graph gives it out as it is.
    """

    name: str
    tensor: TensorProto
    graph: GraphProto
    constant_index: int | None
    uses: tuple[WeightUse, ...]
    is_output: bool

    @property
    def op_types(self) -> frozenset[str]:
        """The operators that read it as a weight."""
        return frozenset(use.node.op_type for use in self.uses if use.is_weight)

    @property
    def has_other_uses(self) -> bool:
        """Whether something reads it that does not take it as a weight."""
        return self.is_output or not all(use.is_weight for use in self.uses)

    def values(self) -> NDArray[Any]:
        """Return the values, float32 or float16."""
        from onnx import numpy_helper

        array: NDArray[Any] = numpy_helper.to_array(self.tensor)
        return array

    def set_values(self, values: NDArray[Any]) -> None:
        """Store other values of the same shape, in the type that the tensor has.

        Raises:
            AssertionError: another shape.
        """
        from onnx import numpy_helper

        if list(values.shape) != list(self.tensor.dims):
            raise AssertionError(f"{self.name}: {values.shape} in place of {list(self.tensor.dims)}")
        dtype = np.float16 if self.tensor.data_type == self.tensor.FLOAT16 else np.float32
        self.tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), self.tensor.name))

    def matches(self, globs: Sequence[str]) -> bool:
        """Return whether a glob fits its name or that of a node that reads it."""
        names = (self.name, *(use.node.name for use in self.uses))
        return any(fnmatchcase(name, glob) for name in names for glob in globs)


def find_weights(model: ModelProto, op_types: Collection[str]) -> tuple[Weight, ...]:
    """Return the weights of operators of these types, float32 or float16, in the order of their first node."""
    search = _Search()
    search.walk(model.graph, {})
    found = (one.frozen() for one in sorted(search.found, key=lambda one: one.first_use) if one.uses)
    return tuple(weight for weight in found if not weight.op_types.isdisjoint(op_types))


def refuse_idle_globs(weights: Sequence[Weight], globs: Sequence[str], setting: str) -> None:
    """Refuse a pattern of ``setting`` ("sparsify: keep") that fits no weight: it is a misspelt name.

    Raises:
        CompressionInputError: unknown_operator, with the names of a few weights.
    """
    for glob in globs:
        if weights and not any(weight.matches((glob,)) for weight in weights):
            some = ", ".join(repr(weight.name) for weight in weights[:3])
            more = f" and {len(weights) - 3} more" if len(weights) > 3 else ""
            raise CompressionInputError(
                "unknown_operator",
                f"{setting} has {glob!r}, which fits no weight and no node that reads one; there are {some}{more}",
            )


def input_axis(use: WeightUse, rank: int) -> int:
    """Return the axis of a weight that its operator sums over (convolutions: input channels of a group)."""
    node = use.node
    if node.op_type == "MatMul":
        return rank - 2 if use.input_index == 1 else rank - 1
    if node.op_type == "Gemm":
        return 1 if attribute(node, "transB", 0) else 0
    return {"Conv": 1, "ConvTranspose": 0, "Gather": 1}.get(node.op_type, 2)


def output_axis(use: WeightUse, rank: int) -> int:
    """Return the axis of a weight that runs over the outputs (Gather: over the rows)."""
    node = use.node
    if node.op_type == "MatMul":
        return rank - 1 if use.input_index == 1 else rank - 2
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1, "Gather": 0}.get(node.op_type, 1)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Return an attribute of a node, or ``default`` where it has none."""
    import onnx

    for one in node.attribute:
        if one.name == name:
            return onnx.helper.get_attribute_value(one)
    return default


@dataclass(slots=True)
class _Found:
    """A tensor while its uses are still being collected."""

    name: str
    tensor: TensorProto
    graph: GraphProto
    constant_index: int | None
    uses: list[WeightUse] = field(default_factory=list)
    first_use: int = 0
    is_output: bool = False

    def frozen(self) -> Weight:
        return Weight(
            name=self.name,
            tensor=self.tensor,
            graph=self.graph,
            constant_index=self.constant_index,
            uses=tuple(self.uses),
            is_output=self.is_output,
        )


class _Search:
    """Walks over graphs with what their nodes can see: a name of a subgraph may stand for another tensor elsewhere."""

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self._node_count = 0

    def walk(self, graph: GraphProto, outer: Mapping[str, _Found | None]) -> None:
        seen = {**outer, **self._own(graph)}
        for index, node in enumerate(graph.node):
            self._node_count += 1
            for at, name in enumerate(node.input):
                one = seen.get(name)
                if one is not None:
                    one.first_use = one.first_use or self._node_count
                    one.uses.append(WeightUse(graph=graph, node_index=index, input_index=at))
            for attribute_ in node.attribute:
                for inner in ([attribute_.g] if attribute_.HasField("g") else []) + list(attribute_.graphs):
                    self.walk(inner, seen)
        for value in graph.output:
            one = seen.get(value.name)
            if one is not None:
                one.is_output = True

    def _own(self, graph: GraphProto) -> dict[str, _Found | None]:
        """Return the names that this graph gives a meaning to; those that are no weights hide outer ones."""
        own: dict[str, _Found | None] = {value.name: None for value in graph.input}
        for tensor in graph.initializer:
            own[tensor.name] = self._noticed(tensor.name, tensor, graph, None)
        for index, node in enumerate(graph.node):
            for name in node.output:
                own[name] = None
            if node.op_type == "Constant" and node.domain in _DEFAULT_DOMAINS:
                for one in node.attribute:
                    if one.name == "value":
                        own[node.output[0]] = self._noticed(node.output[0], one.t, graph, index)
        return own

    def _noticed(self, name: str, tensor: TensorProto, graph: GraphProto, index: int | None) -> _Found | None:
        if tensor.data_type not in {tensor.FLOAT, tensor.FLOAT16} or len(tensor.dims) < 2 or 0 in tensor.dims:
            return None
        one = _Found(name, tensor, graph, index)
        self.found.append(one)
        return one
