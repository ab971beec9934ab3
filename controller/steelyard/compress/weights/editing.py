"""Change ONNX graphs: nodes in place of others, tensors that are gone, names that are free, and the file."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.artifact_formats.onnx_tensors import iter_nodes, iter_tensors
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.weights.finding import Weight, WeightUse

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# protobuf refuses messages of 2 GiB and more (protobuf.dev, "Total Size").
MOST_BYTES = 2**31 - 1


class GraphEdit:
    """Collects changes of a model and makes them at once, so that nodes found before keep their place until then."""

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self._names = _all_names(model)
        # By the id of a graph that is kept here, and so not reused: outer graphs were found before inner ones.
        self._graphs: dict[int, GraphProto] = {}
        self._replaced: dict[int, dict[int, list[NodeProto]]] = {}
        self._leading: dict[int, list[NodeProto]] = {}
        self._removed: dict[int, set[str]] = {}

    def free_name(self, wish: str) -> str:
        """Return ``wish``, or it with a number when the model has that name already; it is taken from then on."""
        name, number = wish, 1
        while name in self._names:
            number += 1
            name = f"{wish}_{number}"
        self._names.add(name)
        return name

    def store(self, graph: GraphProto, wish: str, values: NDArray[Any]) -> str:
        """Add a tensor to a graph and return its name."""
        from onnx import numpy_helper

        name = self.free_name(wish)
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def replace_node(self, use: WeightUse, nodes: list[NodeProto]) -> None:
        """Put nodes in the place of the one that reads a weight; their last must give its outputs."""
        self._keep(use.graph)
        self._replaced.setdefault(id(use.graph), {})[use.node_index] = nodes

    def compute(self, weight: Weight, nodes: list[NodeProto]) -> None:
        """Let nodes compute a tensor that was stored: their last must give the name of ``weight``."""
        self.remove(weight)
        self._leading.setdefault(id(weight.graph), []).extend(nodes)

    def remove(self, weight: Weight) -> None:
        """Remove a stored tensor."""
        self._keep(weight.graph)
        if weight.constant_index is None:
            self._removed.setdefault(id(weight.graph), set()).add(weight.name)
        else:
            self._replaced.setdefault(id(weight.graph), {})[weight.constant_index] = []

    def apply(self) -> None:
        """Make the changes; what ``find_weights`` found before is no longer valid."""
        # Rebuilding a list of nodes copies the graphs inside of them: inner graphs first.
        for graph in reversed(_graphs(self._model.graph)):
            if id(graph) in self._graphs:
                self._rebuild(graph)

    def _keep(self, graph: GraphProto) -> None:
        self._graphs[id(graph)] = graph

    def _rebuild(self, graph: GraphProto) -> None:
        replaced, removed = self._replaced.get(id(graph), {}), self._removed.get(id(graph), set())
        nodes = [_copy(node) for node in self._leading.get(id(graph), [])]
        for index, node in enumerate(graph.node):
            nodes.extend(_copy(one) for one in replaced.get(index, [node]))
        del graph.node[:]
        graph.node.extend(nodes)
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name in removed:
                del graph.initializer[index]
        for index in reversed(range(len(graph.input))):
            if graph.input[index].name in removed:
                del graph.input[index]


def require_domain(model: ModelProto, domain: str, version: int = 1) -> None:
    """Declare a domain of operators where the model does not."""
    if all(entry.domain != domain for entry in model.opset_import):
        entry = model.opset_import.add()
        entry.domain, entry.version = domain, version


def write_model(model: ModelProto, out_path: Path) -> int:
    """Write a model as one file and return its bytes; the same model gives the same bytes.

    Raises:
        CompressionInputError: too_large: 2 GiB and more.
    """
    size_bytes = int(model.ByteSize())
    if size_bytes > MOST_BYTES:
        raise CompressionInputError(
            "too_large",
            f"the compressed model has {size_bytes} bytes, and an ONNX file holds less than 2 GiB; split the model "
            "into parts or give its weights fewer bits",
        )
    out_path.write_bytes(model.SerializeToString(deterministic=True))
    return size_bytes


def storage_note(before: Path, after: Path) -> str:
    """Say what the file holds before and after, as it is and DEFLATEd (zlib, level 6)."""
    plain = [path.read_bytes() for path in (before, after)]
    deflated = [len(zlib.compress(content, 6)) for content in plain]
    return (
        f"the file has {len(plain[1]):,} bytes, {len(plain[0]):,} before; DEFLATEd {deflated[1]:,}, {deflated[0]:,} "
        "before"
    )


def left_note(left: dict[str, str]) -> tuple[str, ...]:
    """Return a note for each reason why weights (name to reason) were left as they were; three names at most."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left.items():
        by_reason.setdefault(reason, []).append(name)
    return tuple(
        f"left as {'it was' if len(names) == 1 else 'they were'}: {_listed(names)} ({reason})"
        for reason, names in by_reason.items()
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _copy(node: NodeProto) -> NodeProto:
    from onnx import NodeProto as Node

    copy = Node()
    copy.CopyFrom(node)
    return copy


def _graphs(graph: GraphProto) -> list[GraphProto]:
    """Return a graph and those inside of it, outer ones first."""
    found = [graph]
    for node in graph.node:
        for one in node.attribute:
            for inner in ([one.g] if one.HasField("g") else []) + list(one.graphs):
                found += _graphs(inner)
    return found


def _all_names(model: ModelProto) -> set[str]:
    names = {tensor.name for tensor in iter_tensors(model)}
    for graph in _graphs(model.graph):
        names.update(value.name for value in (*graph.input, *graph.output))
    for node in iter_nodes(model):
        names.update((node.name, *node.input, *node.output))
    return names
