"""Shift the biases of quantized layers; layers without one get one, in the int32 form that kernels take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.qdq.graph import DEQUANTIZE, QdqGraph, QuantizedTensor, Unit

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LIMITS = np.iinfo(np.int32)
_BIAS_INPUT = 2


def takes_bias(graph: QdqGraph, unit: Unit) -> bool:
    """Return whether the layer's bias can be shifted: Conv, ConvTranspose and Gemm with a stored bias or none."""
    if unit.op_type not in {"Conv", "ConvTranspose", "Gemm"} or any(
        one.name in {"alpha", "beta"} and one.f != 1.0 for one in unit.node.attribute
    ):
        return False
    return unit.bias is not None or not _bias_name(unit.node) or _bias_name(unit.node) in graph.tensors


def shift_bias(graph: QdqGraph, model: ModelProto, unit: Unit, shift: NDArray[Any]) -> NDArray[Any]:
    """Add ``shift`` float [C] to the bias of a layer in ``model`` and return what was really added.

    ``model`` is the graph's model or a copy of it. The stored integers move by whole steps of the bias's scale.
    """
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    if unit.bias is None and _bias_name(unit.node):
        tensor = stored[_bias_name(unit.node)]
        before = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array((before + shift).astype(before.dtype), tensor.name))
        return shift
    bias = unit.bias or _add_bias(graph, model, unit, shift.size)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    tensor = stored[bias.name]
    scale = numpy_helper.to_array(stored[bias.scale_name]).astype(np.float64).reshape(-1)
    before = numpy_helper.to_array(tensor)
    steps = np.rint(shift.astype(np.float64) / np.maximum(scale, np.finfo(np.float32).tiny))
    after = np.clip(before.reshape(-1) + steps, _LIMITS.min, _LIMITS.max).astype(np.int32).reshape(before.shape)
    tensor.CopyFrom(numpy_helper.from_array(after, tensor.name))
    return np.asarray((after.reshape(-1).astype(np.float64) - before.reshape(-1)) * scale)


def _bias_name(node: NodeProto) -> str:
    return str(node.input[_BIAS_INPUT]) if len(node.input) > _BIAS_INPUT else ""


def _add_bias(graph: QdqGraph, model: ModelProto, unit: Unit, size: int) -> QuantizedTensor:
    """Add int32 zeros with the scale of input times weights, as quantizers do, behind a DequantizeLinear."""
    from onnx import helper, numpy_helper

    assert unit.weight is not None
    # By the layer: two layers may share a weight.
    base = f"{unit.node.output[0]}_added_bias"
    added = QuantizedTensor(name=base, scale_name=f"{base}_scale", zero_point_name=f"{base}_zero_point", axis=0)
    scale = np.broadcast_to(input_scale(graph, unit) * graph.scales(unit.weight)[0].reshape(-1), size)
    for name, values in (
        (added.name, np.zeros(size, dtype=np.int32)),
        (added.scale_name, np.ascontiguousarray(scale, dtype=np.float32)),
        (added.zero_point_name, np.zeros(size, dtype=np.int32)),
    ):
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    output = f"{base}_{DEQUANTIZE}_Output"
    inputs = [added.name, added.scale_name, added.zero_point_name]
    domain = graph.producers[unit.node.input[1]].domain
    node = helper.make_node(DEQUANTIZE, inputs, [output], f"{base}_{DEQUANTIZE}", axis=0, domain=domain)
    target = next(one for one in model.graph.node if one.output[0] == unit.node.output[0])
    del target.input[_BIAS_INPUT:]
    target.input.append(output)
    model.graph.node.insert(0, node)
    return added


def input_scale(graph: QdqGraph, unit: Unit) -> float:
    """Return the scale of the activations that a layer reads."""
    return float(graph.values(graph.producers[unit.node.input[0]].input[1]).reshape(-1)[0])
