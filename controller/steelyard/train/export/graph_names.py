"""Names of inputs and outputs that torch's exporter may give to values of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto

_OWN = "steelyard_{}_{}"


def stand_ins(names: Sequence[str], what: str) -> list[str]:
    """Return names to export with in the place of ``names``: no value of the exporter's is called so.

    It calls values "linear", "linear_1", and does not look whether an input or output that it is told of is called so,
    too, as in files that it wrote earlier.
    """
    return [_OWN.format(what, at) for at in range(len(names))]


def put_in(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Rename values as ``names`` says, and whatever is called like one of them to something else."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {one.name for one in (*graph.initializer, *graph.input, *graph.output)}
    renamed = dict(names)
    for name in names.values():
        if name in taken and name not in names:
            renamed[name] = _free(name, {*taken, *renamed.values()})
    _rename(graph, renamed)


def _free(name: str, taken: set[str]) -> str:
    count = 1
    while f"{name}_inner_{count}" in taken:
        count += 1
    return f"{name}_inner_{count}"


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            # Branches read values of the graph around them.
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, names)
    for one in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        one.name = names.get(one.name, one.name)
