"""Element-wise arithmetic around functions without 8-bit kernels: normalization and activations, whole or in pieces.

Between LayerNormalization, a square root, an exponential or a hyperbolic tangent and the next matrix product or
convolution, 8 bits gain nothing: each crossing costs a conversion, and what such chains compute needs its digits. A
variance as the mean of squares less the square of the mean is a small difference of large numbers: one classifier of
file types with LayerNorm and GELU in pieces fell from 92.7 % to 56.8 % when their pieces were quantized, with no
operator of them in 8 bits. The sums between the blocks of a transformer have a few channels far beyond all others: one
classifier of sentences fell from 91.6 % to 84.6 % with these sums in 8 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_FUNCTIONS = frozenset({
    "Erf", "Exp", "Gelu", "LayerNormalization", "Log", "Pow", "RMSNormalization", "Reciprocal", "Sqrt", "Tanh",
})  # fmt: skip
# What an island spreads over. Not Relu, Clip or a sigmoid: behind a convolution they stand in 8 bits.
_ARITHMETIC = frozenset({"Abs", "Add", "Div", "Max", "Mean", "Min", "Mul", "Neg", "Sub", "Sum"})
_SHAPING = frozenset({"Cast", "Expand", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_REDUCING = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"})


def island_nodes(model: ModelProto) -> frozenset[str]:
    """Return the names of the nodes of the top graph that belong to islands of float arithmetic."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    members = [node for node in model.graph.node if _may_belong(node, stored)]
    source = {name: node for node in members for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in members:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: dict[str, NodeProto] = {}
    pending = [node for node in members if node.op_type in _FUNCTIONS]
    while pending:
        node = pending.pop()
        if node.name in found:
            continue
        found[node.name] = node
        pending += [source[name] for name in node.input if name in source]
        pending += [reader for name in node.output for reader in readers.get(name, [])]
    return frozenset(found)


def _may_belong(node: NodeProto, stored: dict[str, object]) -> bool:
    if node.op_type in _REDUCING:
        # Over several axes it is a pooling, which has an 8-bit kernel and ends the island.
        return _axis_count(node, stored) == 1
    return node.op_type in _FUNCTIONS | _ARITHMETIC | _SHAPING


def _axis_count(node: NodeProto, stored: dict[str, object]) -> int:
    """Return over how many axes a node reduces; 0 where that is not stored, or over all."""
    from onnx import numpy_helper

    for attribute in node.attribute:
        if attribute.name == "axes":
            return len(attribute.ints)
    axes = stored.get(node.input[1]) if len(node.input) > 1 else None
    return 0 if axes is None else int(numpy_helper.to_array(axes).size)
