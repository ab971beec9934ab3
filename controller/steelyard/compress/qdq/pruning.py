"""Cut an ONNX graph down to what its outputs need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def drop_dead(graph: GraphProto) -> None:
    """Remove nodes and initializers that no output of the graph needs; inputs stay. The nodes are in order (ONNX)."""
    from onnx import NodeProto as Node

    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            needed.update(names_read(node))
            copy = Node()
            copy.CopyFrom(node)
            kept.append(copy)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]


def exposed(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """Return a copy that gives float tensors ``names`` out in this order, and holds only what they need."""
    import onnx

    wanted = list(names)
    # Nodes and tensors one by one: copying all of a model, layer by layer, would take longer than running it.
    copy = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    copy.graph.name = model.graph.name
    copy.graph.input.extend(model.graph.input)
    needed = set(wanted)
    kept = []
    for node in reversed(model.graph.node):
        if any(name in needed for name in node.output):
            needed.update(names_read(node))
            kept.append(node)
    copy.graph.node.extend(reversed(kept))
    copy.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in needed)
    copy.graph.sparse_initializer.extend(
        tensor for tensor in model.graph.sparse_initializer if tensor.values.name in needed
    )
    for name in wanted:
        copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return copy


def names_read(node: NodeProto) -> Iterator[str]:
    """Yield the names that a node reads, those that graphs inside of it read included."""
    yield from node.input
    for attribute in node.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from names_read(inner)
