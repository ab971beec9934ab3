"""Matrix products whose results only float operators read give them in float, as onnxruntime's kernels can.

QGemm and MatMulIntegerToFloat leave their sums as they are scaled; a QuantizeLinear and a DequantizeLinear behind them
cost two passes and round the result to 256 values, which shows where it is ranked: logits of a detector of speech lost
0.7 points of AUC by it. Convolutions have no such kernel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_PRODUCTS = frozenset({"Gemm", "MatMul"})
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
# Of what is quantized and then given out by the model.
_OUTPUT_SUFFIX = "_QuantizeLinear_Input"


def leave_outputs_in_float(
    model: ModelProto, *, makers: Mapping[str, str], op_types: Collection[str], excluded: Collection[str]
) -> int:
    """Take Q/DQ off such results in a QDQ model, in place, and return of how many.

    ``makers`` has the operator that gives each tensor of the float model: where that is a Relu or Clip, the quantizer
    has left it out because QuantizeLinear clips alike, which then must stay. ``op_types`` are the operators that were
    quantized, ``excluded`` the nodes that were not.
    """
    graph = model.graph
    source = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    removed: list[NodeProto] = []
    for product in [node for node in graph.node if node.op_type in _PRODUCTS and _is_quantized(node, source)]:
        pair = _only_pair(product, readers, outputs)
        made = product.output[0].removesuffix(_OUTPUT_SUFFIX)
        if (
            pair is None
            or makers.get(made) != product.op_type
            or any(one.op_type in op_types and one.name not in excluded for one in readers.get(pair[1].output[0], []))
        ):
            continue
        _rewire(product, pair[1], readers.get(pair[1].output[0], []), outputs)
        removed += pair
    for node in removed:
        graph.node.remove(node)
    return len(removed) // 2


def _rewire(product: NodeProto, dequantize: NodeProto, following: list[NodeProto], outputs: set[str]) -> None:
    """Connect a product with what reads it; names of the float model stay, which repairs find layers by."""
    before, after = product.output[0], dequantize.output[0]
    kept = after if after in outputs else before
    product.output[0] = kept
    for node in following:
        for place, name in enumerate(node.input):
            if name == after:
                node.input[place] = kept


def _is_quantized(node: NodeProto, source: dict[str, NodeProto]) -> bool:
    return all(name in source and source[name].op_type == _DEQUANTIZE for name in node.input[:2])


def _only_pair(
    product: NodeProto, readers: dict[str, list[NodeProto]], outputs: set[str]
) -> tuple[NodeProto, NodeProto] | None:
    """Return the one QuantizeLinear that reads a product, and the one DequantizeLinear that reads that."""
    following = readers.get(product.output[0], [])
    if len(following) != 1 or following[0].op_type != _QUANTIZE or product.output[0] in outputs:
        return None
    behind = readers.get(following[0].output[0], [])
    if len(behind) != 1 or behind[0].op_type != _DEQUANTIZE or following[0].output[0] in outputs:
        return None
    return following[0], behind[0]
