"""Fold BatchNormalization into the layer before it, or into the one behind it where that is exact.

In inference a BatchNormalization is an affine map a channel: y = x * factor + shift, with
factor = scale / sqrt(var + epsilon) and shift = bias - mean * factor (Ioffe and Szegedy, 2015). Behind a linear layer
it goes into weights and bias. In front of a convolution it does so only where nothing is padded: the padding would have
to be mapped too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.preparation.linear_graph import LinearGraph

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_BATCHNORM = "BatchNormalization"
_DEFAULT_EPSILON = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Affine:
    """y = x * factor + shift, float64 [channels] each."""

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]


def fold_batchnorms(model: ModelProto) -> int:
    """Fold what can be folded exactly, in place; return how many went. Others stay as they are."""
    graph = LinearGraph(model)
    folded_count = 0
    for node in [one for one in model.graph.node if one.op_type == _BATCHNORM]:
        affine = _affine(graph, node)
        if affine is None:
            continue
        if _into_producer(graph, node, affine) or _into_reader(graph, node, affine):
            folded_count += 1
    graph.drop_unused()
    return folded_count


def _affine(graph: LinearGraph, node: NodeProto) -> _Affine | None:
    attributes = {one.name: one for one in node.attribute}
    is_training = "training_mode" in attributes and attributes["training_mode"].i
    outputs = [name for name in node.output if name]
    constants = [graph.constant(name) for name in node.input[1:5]]
    if is_training or len(outputs) != 1 or any(one is None for one in constants):
        return None
    scale, bias, mean, variance = (np.asarray(one, dtype=np.float64) for one in constants)
    epsilon = float(attributes["epsilon"].f) if "epsilon" in attributes else _DEFAULT_EPSILON
    factor = scale / np.sqrt(variance + epsilon)
    if not np.isfinite(factor).all():
        return None
    return _Affine(factor=factor, shift=bias - mean * factor)


def _into_producer(graph: LinearGraph, node: NodeProto, affine: _Affine) -> bool:
    layer = graph.only_source(node)
    if layer is None or layer.op_type not in {"Conv", "ConvTranspose", "Gemm"}:
        return False
    weight, bias = graph.constant(layer.input[1]), graph.bias(layer)
    if weight is None or bias is None:
        return False
    made = _scaled_outputs(layer, weight, affine.factor)
    if made is None:
        return False
    graph.set_weight(layer, made)
    graph.set_bias(layer, np.broadcast_to(bias, affine.factor.shape) * affine.factor + affine.shift)
    graph.take_over(layer, node)
    return True


def _scaled_outputs(layer: NodeProto, weight: NDArray[Any], factor: NDArray[Any]) -> NDArray[Any] | None:
    """Return the weight of a layer with every output channel scaled; None for a form that this does not know."""
    if layer.op_type == "Gemm":
        if not is_plain_gemm(layer):
            return None
        axis = 0 if _flag(layer, "transB") else 1
        spread = factor.reshape(-1, 1) if axis == 0 else factor
        return weight * spread if weight.shape[axis] == factor.size else None
    if layer.op_type == "Conv":
        return weight * factor.reshape(-1, *[1] * (weight.ndim - 1)) if weight.shape[0] == factor.size else None
    groups = max(_flag(layer, "group"), 1)
    if weight.shape[1] * groups != factor.size:
        return None
    spread = factor.reshape(groups, 1, -1, *[1] * (weight.ndim - 2))
    scaled: NDArray[Any] = weight.reshape(groups, -1, *weight.shape[1:]) * spread
    return scaled.reshape(weight.shape)


def _into_reader(graph: LinearGraph, node: NodeProto, affine: _Affine) -> bool:
    layer = graph.only_reader(node)
    if layer is None or layer.op_type not in {"Conv", "Gemm"} or layer.input[0] != node.output[0]:
        return False
    weight, bias = graph.constant(layer.input[1]), graph.bias(layer)
    if weight is None or bias is None:
        return False
    if layer.op_type == "Conv":
        groups = max(_flag(layer, "group"), 1)
        if _pads(layer) or weight.shape[1] * groups != affine.factor.size:
            return False
        # Output channels of a group see the input channels of that group.
        seen = np.repeat(np.arange(groups), weight.shape[0] // groups)
        spread = (weight.shape[0], weight.shape[1], *[1] * (weight.ndim - 2))
        factor, shift = (one.reshape(groups, -1)[seen].reshape(spread) for one in (affine.factor, affine.shift))
        added = (weight * shift).reshape(weight.shape[0], -1).sum(axis=1)
    else:
        axis = 1 if _flag(layer, "transB") else 0
        if not is_plain_gemm(layer) or weight.shape[axis] != affine.factor.size:
            return False
        spread = (1, -1) if axis == 1 else (-1, 1)
        factor, shift = affine.factor.reshape(spread), affine.shift.reshape(spread)
        added = (weight * shift).sum(axis=axis)
    graph.set_bias(layer, bias + added)
    graph.set_weight(layer, weight * factor)
    graph.bypass(node, layer)
    return True


def is_plain_gemm(layer: NodeProto) -> bool:
    """Return whether a Gemm has no factors and takes its first input as it is."""
    factors = {one.name: one.f for one in layer.attribute if one.name in {"alpha", "beta"}}
    return all(value == 1.0 for value in factors.values()) and not _flag(layer, "transA")


def _pads(layer: NodeProto) -> bool:
    attributes = {one.name: one for one in layer.attribute}
    automatic = attributes["auto_pad"].s if "auto_pad" in attributes else b"NOTSET"
    if automatic not in {b"NOTSET", b"VALID"}:
        return True
    return automatic == b"NOTSET" and "pads" in attributes and any(attributes["pads"].ints)


def _flag(layer: NodeProto, name: str) -> int:
    return next((int(one.i) for one in layer.attribute if one.name == name), 0)
