"""What bodies of control flow read of the graph around them is kept where a quantizer would change it.

onnxruntime's quantizer drops a Relu or Clip in front of a QuantizeLinear that clips alike, and gives its name to what
it read (1.32). Nodes of the graph then get the quantized value, but the bodies of If and Loop still read the name: an
LSTM within an If read what no Relu had clipped, and the outputs of that model were at -9 dB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from steelyard.compress.qdq.pruning import names_read

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_DROPPED = frozenset({"Clip", "Relu"})
_SUFFIX = "_in_bodies"


def keep_body_reads(model: ModelProto) -> int:
    """Put an Identity between clipped tensors of the top graph and the bodies that read them, in place.

    Bodies read a new name; in the top graph names stay, which repairs find layers by.

    Returns:
        How many there were.
    """
    import onnx

    nodes = list(model.graph.node)
    in_bodies = {name for node in nodes for name in set(names_read(node)) - set(node.input)}
    clipping = [node for node in nodes if node.op_type in _DROPPED and node.output[0] in in_bodies]
    renamed = {node.output[0]: node.output[0] + _SUFFIX for node in clipping}
    for body in (body for node in nodes for body in _bodies(node)):
        _rename(body, renamed)
    for node in clipping:
        place = next(index for index, one in enumerate(model.graph.node) if one.output[:1] == node.output[:1])
        name = node.output[0]
        identity = onnx.helper.make_node("Identity", [name], [renamed[name]], name=f"{node.name}{_SUFFIX}")
        model.graph.node.insert(place + 1, identity)
    return len(clipping)


def _bodies(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs)


def _rename(body: GraphProto, renamed: Mapping[str, str]) -> None:
    """Rename what a body reads, and bodies inside of it; names are unique over all graphs."""
    for node in body.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
        for inner in _bodies(node):
            _rename(inner, renamed)
    for value in body.output:
        value.name = renamed.get(value.name, value.name)
