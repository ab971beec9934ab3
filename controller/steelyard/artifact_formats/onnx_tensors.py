"""Walk over all that an ONNX model carries: its graphs, nodes and stored tensors, subgraphs and functions too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto


def iter_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Yield every node of the graph, its subgraphs and the model's functions."""
    yield from _graph_nodes(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _with_subgraphs(node)


def iter_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every stored tensor: initializers (sparse ones by their parts) and tensor attributes."""
    yield from _graph_tensors(model.graph)
    for node in iter_nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices


def _graph_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield from _with_subgraphs(node)


def _with_subgraphs(node: NodeProto) -> Iterator[NodeProto]:
    yield node
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from _graph_nodes(attribute.g)
        for graph in attribute.graphs:
            yield from _graph_nodes(graph)
