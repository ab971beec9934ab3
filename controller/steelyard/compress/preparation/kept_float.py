"""Nodes that stay in float by rule: softmax with its mask, normalization, and the pieces of GELU and LayerNorm.

Softmax and normalization are sensitive, and onnxruntime has no 8-bit kernels for them on CPUs. Where a model spells
GELU or LayerNorm out, the multiplications and additions between their float operators would only gain casts, and the
runtime could no longer fuse them (it does for whole float patterns).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# ConvTranspose has no 8-bit kernel either: dequantizing its weights at each inference only costs time.
FLOAT_OPS = frozenset({
    "BatchNormalization", "ConvTranspose", "CumSum", "EmbedLayerNormalization", "InstanceNormalization",
    "LayerNormalization", "Softmax",
})  # fmt: skip
_MASKING = frozenset({"Add", "Where", "Mul"})
_ARITHMETIC = frozenset({"Add", "Mul"})
# A stored tensor with such a value is a mask, and one step of 8 bits would be larger than everything else.
_MASK_MAGNITUDE = 1e30


def kept_by_rule(model: ModelProto) -> frozenset[str]:
    """Return the names of the nodes of the top graph that the rules keep in float, whatever their operators."""
    pattern = _Pattern(model)
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "Softmax":
            found.update(one.name for one in pattern.sources(node) if _is_mask(pattern, one))
        elif node.op_type == "Erf":
            found.update(one.name for one in pattern.around_erf(node))
        elif node.op_type == "Sqrt":
            found.update(one.name for one in pattern.behind_root(node))
        if (node.op_type in _MASKING and pattern.reads_mask(node)) or pattern.adds_matrix(node):
            found.add(node.name)
    return frozenset(found)


def _is_mask(pattern: _Pattern, node: NodeProto) -> bool:
    return node.op_type in _MASKING and len(pattern.readers(node)) == 1


class _Pattern:
    """Who gives and who reads what, in the top graph."""

    def __init__(self, model: ModelProto) -> None:
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._source = {name: node for node in model.graph.node for name in node.output}
        self._read: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._read.setdefault(name, []).append(node)

    def sources(self, node: NodeProto) -> list[NodeProto]:
        """Return the nodes that give the inputs."""
        return [self._source[name] for name in node.input if name in self._source]

    def readers(self, node: NodeProto) -> list[NodeProto]:
        """Return the nodes that read the outputs."""
        return [reader for name in node.output for reader in self._read.get(name, [])]

    def around_erf(self, erf: NodeProto) -> Iterator[NodeProto]:
        """Yield the arithmetic of x * (1 + erf(x / sqrt(2))) / 2 in any order of its factors."""
        yield from (one for one in self.sources(erf) if one.op_type == "Mul")
        for added in (one for one in self.readers(erf) if one.op_type == "Add"):
            yield added
            for product in (one for one in self.readers(added) if one.op_type == "Mul"):
                yield product
                yield from (one for one in self.sources(product) if one.op_type == "Mul" and self._scales(one))
                yield from (one for one in self.readers(product) if one.op_type == "Mul" and self._scales(one))

    def behind_root(self, root: NodeProto) -> Iterator[NodeProto]:
        """Yield the addition of epsilon in front of a root, and scale and bias behind the division by it."""
        yield from (one for one in self.sources(root) if one.op_type == "Add")
        for division in (one for one in self.readers(root) if one.op_type in {"Div", "Reciprocal"}):
            following = [division]
            for _ in range(2):
                following = [
                    one
                    for before in following
                    for one in self.readers(before)
                    if one.op_type in _ARITHMETIC and any(name in self._stored for name in one.input)
                ]
                yield from following

    def reads_mask(self, node: NodeProto) -> bool:
        """Return whether a stored input holds infinities or what stands for them."""
        return any(self._largest(self._stored[name]) >= _MASK_MAGNITUDE for name in node.input if name in self._stored)

    def adds_matrix(self, node: NodeProto) -> bool:
        """Return whether a Gemm adds a stored matrix; kernels add a row, and the quantizer (1.32) fails on others."""
        bias = self._stored.get(node.input[2]) if node.op_type == "Gemm" and len(node.input) > 2 else None
        return bias is not None and len(bias.dims) > 1

    def _scales(self, node: NodeProto) -> bool:
        return any(name in self._stored and _value_count(self._stored[name]) == 1 for name in node.input)

    def _largest(self, tensor: Any) -> float:
        import numpy as np
        from onnx import numpy_helper

        if tensor.data_type != tensor.FLOAT or not _value_count(tensor):
            return 0.0
        return float(np.abs(numpy_helper.to_array(tensor)).max())


def _value_count(tensor: Any) -> int:
    count = 1
    for size in tensor.dims:
        count *= size
    return count
