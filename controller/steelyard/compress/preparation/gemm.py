"""Gemm in the form that quantizers understand: no factors, and a bias [N]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.artifact_formats.onnx_tensors import iter_nodes
from steelyard.compress.preparation.linear_graph import LinearGraph

if TYPE_CHECKING:
    from onnx import ModelProto

_BIAS_INPUT = 2


def plain_gemms(model: ModelProto) -> None:
    """Bring every Gemm of the top graph with stored weights into that form, in place.

    A bias scale is the product of the scales of input and weight: an alpha between them would be lost in it.
    """
    _flatten_biases(model)
    graph = LinearGraph(model)
    turned: dict[str, bool] = {}
    for node in model.graph.node:
        factors = {one.name: float(one.f) for one in node.attribute if one.name in {"alpha", "beta"}}
        if node.op_type != "Gemm":
            continue
        weight, bias = graph.constant(node.input[1]), graph.bias(node)
        if weight is None or bias is None:
            continue
        has_bias = len(node.input) > _BIAS_INPUT and bool(node.input[_BIAS_INPUT])
        if has_bias and bias.size == 1:
            # One value for all outputs; the quantizer (1.32) wants one each.
            graph.set_bias(node, bias)
        is_turned = any(one.name == "transB" and one.i for one in node.attribute)
        if turned.setdefault(node.input[1], is_turned) != is_turned:
            # Its scales lie along the other axis for this reader: a copy of its own.
            graph.set_weight(node, weight)
        if all(value == 1.0 for value in factors.values()):
            continue
        graph.set_weight(node, weight.astype("float64") * factors.get("alpha", 1.0))
        if has_bias:
            graph.set_bias(node, bias * factors.get("beta", 1.0))
        kept = [one for one in node.attribute if one.name not in factors]
        del node.attribute[:]
        node.attribute.extend(kept)
    graph.drop_unused()


def _flatten_biases(model: ModelProto) -> None:
    """Store biases [1, N] that only Gemm reads as [N]: the same sum.

    onnxruntime makes such biases itself out of MatMul and Add, and its quantizer (1.32) then fails on them per channel.
    """
    uses: dict[str, set[tuple[str, int]]] = {}
    for node in iter_nodes(model):
        for index, name in enumerate(node.input):
            uses.setdefault(name, set()).add((node.op_type, index))
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 2 and tensor.dims[0] == 1 and uses.get(tensor.name) == {("Gemm", _BIAS_INPUT)}:
            size = tensor.dims[1]
            del tensor.dims[:]
            tensor.dims.append(size)
