"""Which tensors need a range: the float activations that quantizable operators read and write."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

_CLIPPING = frozenset({"Relu", "Clip"})


def observed_tensors(
    model: ModelProto, *, op_types: Collection[str], excluded: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the float32 tensors that nodes of ``op_types`` touch, in the order of the graph.

    Weights are none of them, nor tensors of unknown type, which quantizers leave alone; ``excluded`` names nodes.
    """
    from onnx import TensorProto

    known = [*model.graph.value_info, *model.graph.output, *model.graph.input]
    floats = {value.name for value in known if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    floats -= {tensor.name for tensor in model.graph.initializer}
    found: dict[str, None] = {}
    for node in model.graph.node:
        if node.op_type in op_types and node.name not in excluded:
            found.update(dict.fromkeys(name for name in (*node.input, *node.output) if name in floats))
    return tuple(found)


def clipped_later(model: ModelProto) -> Mapping[str, str]:
    """Return tensors that only a Relu or Clip reads, and what that gives: the range of the one serves for both."""
    readers: dict[str, list[str]] = {}
    outputs = {value.name for value in model.graph.output}
    clipped: dict[str, str] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
        if node.op_type in _CLIPPING:
            clipped[node.input[0]] = node.output[0]
    return {name: after for name, after in clipped.items() if len(readers[name]) == 1 and name not in outputs}


def with_clipped(model: ModelProto, names: Collection[str]) -> frozenset[str]:
    """Return the names and those of what a Relu or Clip alone makes of them, with which a quantizer merges them."""
    after, found = clipped_later(model), set(names)
    pending = list(names)
    while pending:
        name = pending.pop()
        for related in (after.get(name), *(before for before, behind in after.items() if behind == name)):
            if related is not None and related not in found:
                found.add(related)
                pending.append(related)
    return frozenset(found)
