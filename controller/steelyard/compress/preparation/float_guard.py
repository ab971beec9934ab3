"""Keep layers in float that a recipe left in float, where the runtime would quantize them after all.

onnxruntime (1.32) quantizes the float weights of a Conv, ConvTranspose or Gemm by itself when it loads a model in which
the layer lies between a DequantizeLinear and a QuantizeLinear. A Clip behind the DequantizeLinear, with the ends that
its grid has anyway, changes no value and ends that pattern; it costs one pass over the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_REQUANTIZED = frozenset({"Conv", "ConvTranspose", "Gemm"})
_MERGED = frozenset({"Relu", "Clip"})
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def guard_float_layers(model: ModelProto) -> None:
    """Put a Clip in front of every float layer between quantized neighbours, in place; the nodes stay in order."""
    from onnx import NodeProto as Node

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    source = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    made: list[NodeProto] = []
    for node in graph.node:
        dequantize = source.get(node.input[0]) if node.input else None
        is_float = node.op_type in _REQUANTIZED and node.input[1] in stored
        if is_float and dequantize is not None and dequantize.op_type == _DEQUANTIZE and _is_quantized(node, readers):
            made.append(_guard(graph, node, dequantize, stored))
        copy = Node()
        copy.CopyFrom(node)
        made.append(copy)
    if len(made) > len(graph.node):
        del graph.node[:]
        graph.node.extend(made)


def _is_quantized(node: NodeProto, readers: dict[str, list[NodeProto]]) -> bool:
    """Return whether a QuantizeLinear reads what a layer gives, also behind a Relu or Clip that merges with it."""
    following = readers.get(node.output[0], [])
    while len(following) == 1 and following[0].op_type in _MERGED:
        following = readers.get(following[0].output[0], [])
    return any(one.op_type == _QUANTIZE for one in following)


def _guard(graph: Any, node: NodeProto, dequantize: NodeProto, stored: dict[str, Any]) -> NodeProto:
    import numpy as np
    from onnx import helper, numpy_helper

    scale, zero = (numpy_helper.to_array(stored[name]) for name in dequantize.input[1:3])
    ends = np.iinfo(zero.dtype)
    name = f"{node.name}_float_input"
    limits = []
    for what, end in (("low", ends.min), ("high", ends.max)):
        value = np.asarray((float(end) - float(zero)) * float(scale), dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(value, f"{name}_{what}"))
        limits.append(f"{name}_{what}")
    guard = helper.make_node("Clip", [node.input[0], *limits], [name], name=name)
    node.input[0] = name
    return guard
