"""Multiply-accumulates of ONNX nodes, by their shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.layers.onnx_shapes import STANDARD_DOMAINS, Tensors, attributes

if TYPE_CHECKING:
    from onnx import NodeProto

# Operators of the standard that do multiply and add up, and that no rule below counts.
_UNCOUNTED = {
    **dict.fromkeys(
        ("If", "Loop", "Scan", "SequenceMap"), "which of its graphs runs, and how often, is not in the file"
    ),
    **dict.fromkeys(("DFT", "STFT", "DeformConv", "Det", "FlexAttention", "LinearAttention"), "no rule for it"),
}
_NO_MACS_ELSEWHERE = frozenset(
    {
        "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearConcat",
        "QLinearGlobalAveragePool", "QLinearAveragePool", "QuantizeLinear", "DequantizeLinear", "Gelu", "FastGelu",
        "BiasGelu", "QuickGelu", "SkipLayerNormalization", "DynamicQuantizeLinear",
    }
)  # fmt: skip
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True, slots=True)
class Macs:
    """A count, or None and why there is none."""

    count: int | None
    reason: str = ""


def count_macs(node: NodeProto, tensors: Tensors) -> Macs:
    """Return the multiply-accumulates of a node."""
    rule = _RULES.get(node.op_type)
    if rule is not None:
        count = rule(node, tensors)
        return Macs(count, "" if count is not None else _unknown_shape(node, tensors))
    if node.domain in STANDARD_DOMAINS:
        reason = _UNCOUNTED.get(node.op_type, "")
        return Macs(None, reason) if reason else Macs(0)
    if node.op_type in _NO_MACS_ELSEWHERE:
        return Macs(0)
    return Macs(None, f"no rule for an operator of {node.domain}")


def weight_input(node: NodeProto) -> str:
    """Return the name of what a node multiplies its input with, "" for a node that multiplies nothing up."""
    at = _WEIGHT_AT.get(node.op_type)
    return node.input[at] if at is not None and at < len(node.input) else ""


def is_depthwise(node: NodeProto, tensors: Tensors) -> bool:
    """Return whether a convolution has one group a channel, and more than one channel."""
    weight = tensors.shape(weight_input(node)) if node.op_type in _CONVOLUTIONS else None
    groups = attributes(node).get("group", 1) if weight else 1
    return weight is not None and groups > 1 and weight[1] == 1 and weight[0] % groups == 0


def _unknown_shape(node: NodeProto, tensors: Tensors) -> str:
    names = [name for name in (*node.input, *node.output) if name and tensors.shape(name) is None]
    return (
        f"the shape of {names[0]!r} is not known; --shape names sizes of inputs"
        if names
        else "its equation is no product"
    )


def _convolution(node: NodeProto, tensors: Tensors) -> int | None:
    made, weight = tensors.size(node.output[0]), tensors.shape(weight_input(node))
    return None if made is None or weight is None else made * math.prod(weight[1:])


def _transposed_convolution(node: NodeProto, tensors: Tensors) -> int | None:
    # Every element of the input meets every tap of its group's kernels.
    given, weight = tensors.size(node.input[0]), tensors.shape(node.input[1])
    return None if given is None or weight is None else given * math.prod(weight[1:])


def _gemm(node: NodeProto, tensors: Tensors) -> int | None:
    return _product(node, tensors, attributes(node).get("transA", 0))


def _matmul(node: NodeProto, tensors: Tensors) -> int | None:
    return _product(node, tensors, transposed=0)


def _product(node: NodeProto, tensors: Tensors, transposed: int) -> int | None:
    made, left = tensors.size(node.output[0]), tensors.shape(node.input[0])
    if made is None or not left:
        return None
    return made * (left[-2] if transposed and len(left) > 1 else left[-1])


def _packed(node: NodeProto, tensors: Tensors) -> int | None:
    made, depth = tensors.size(node.output[0]), attributes(node).get("K")
    return None if made is None or depth is None else made * int(depth)


def _recurrent(node: NodeProto, tensors: Tensors) -> int | None:
    given, hidden = tensors.shape(node.input[0]), attributes(node).get("hidden_size")
    if given is None or len(given) != 3 or hidden is None:
        return None
    directions = 2 if attributes(node).get("direction", b"forward") in (b"bidirectional", "bidirectional") else 1
    # In either layout the first two sizes are steps and batch.
    steps_and_batch, width = given[0] * given[1], given[2]
    return directions * steps_and_batch * _GATES[node.op_type] * int(hidden) * (width + int(hidden))


def _attention(node: NodeProto, tensors: Tensors) -> int | None:
    """Queries with keys, and the weights with values; standard Attention, of rank 3 or 4."""
    query, key, value = (tensors.shape(name) for name in node.input[:3])
    if query is None or key is None or value is None:
        return None
    given = attributes(node)
    past = tensors.shape(node.input[4]) if len(node.input) > 4 and node.input[4] else (0, 0, 0, 0)
    if past is None:
        return None
    keys = key[-2] + past[-2]
    if len(query) == 4:
        return query[0] * query[1] * query[2] * keys * (query[3] + value[3])
    heads, value_heads = int(given.get("q_num_heads", 0)), int(given.get("kv_num_heads", 0))
    if not heads or not value_heads:
        return None
    return query[0] * query[1] * keys * (query[2] + heads * (value[2] // value_heads))


def _einsum(node: NodeProto, tensors: Tensors) -> int | None:
    """Return the product of the sizes of all letters, for two operands without an ellipsis."""
    equation = attributes(node).get("equation", b"")
    text = (equation.decode() if isinstance(equation, bytes) else equation).replace(" ", "")
    operands = text.partition("->")[0].split(",")
    if len(operands) == 1:
        return 0
    shapes = [tensors.shape(name) for name in node.input]
    if len(operands) != 2 or "." in text or None in shapes:
        return None
    sizes: dict[str, int] = {}
    for letters, shape in zip(operands, shapes, strict=True):
        if shape is None or len(letters) != len(shape):
            return None
        for letter, size in zip(letters, shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return math.prod(sizes.values())


_Rule = Callable[[Any, Tensors], int | None]
_CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "QLinearConv", "FusedConv"})
_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    "QGemm": _gemm,
    "FusedMatMul": _gemm,
    **dict.fromkeys(
        ("MatMul", "MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"), _matmul
    ),
    "MatMulNBits": _packed,
    **dict.fromkeys(_GATES, _recurrent),
    "Attention": _attention,
    "Einsum": _einsum,
}
_WEIGHT_AT = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "ConvTranspose", "Gemm", "MatMul", "MatMulInteger"), 1),
    **dict.fromkeys(("FusedMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulNBits"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), 3),
    **dict.fromkeys(_GATES, 1),
}
