"""Normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.values import Value

_BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
# GroupNormalization scaled by group before.
_PER_CHANNEL_OPSET = 21
_MEAN_VARIANCE_EPSILON = 1e-9


def _batch_norm(call: Call) -> Value:
    rank = call.sample(0).dim()
    if call.attribute("spatial", 1) == 0 or rank not in _BATCH_NORMS:
        call.refuse(f"normalizes {rank} axes in a form without a layer")
    if call.attribute("training_mode", 0) or call.wants(1):
        call.refuse("is in training mode")
    # ONNX keeps that share of the old statistics, torch takes that share of the new ones.
    momentum = 1.0 - call.attribute("momentum", 0.9)
    mean, variance = call.stored(3), call.stored(4)
    layer = _BATCH_NORMS[rank](mean.numel(), eps=call.attribute("epsilon", 1e-5), momentum=momentum, dtype=mean.dtype)
    layer.weight, layer.bias = call.weight(1), call.weight(2)
    layer.running_mean, layer.running_var = mean.clone(), variance.clone()
    return call.module(layer, call.tensor(0))


def _layer_norm(call: Call) -> Value:
    rank = call.sample(0).dim()
    axis = call.axis(-1, rank)
    normalized = call.sample(0).shape[axis:]
    epsilon = call.attribute("epsilon", 1e-5)
    if call.wants(1) or call.wants(2):
        call.refuse("gives its mean or deviation to other operators")
    if not call.is_stored(1) or call.stored(1).shape != normalized or (call.has(2) and not _fits(call, normalized)):
        made = call.call(functional.layer_norm, call.tensor(0), list(normalized), eps=epsilon)
        made = call.call(torch.mul, made, call.tensor(1))
        return call.call(torch.add, made, call.tensor(2)) if call.has(2) else made
    layer = nn.LayerNorm(normalized, eps=epsilon, bias=call.has(2), dtype=call.stored(1).dtype)
    layer.weight = call.weight(1)
    if call.has(2):
        layer.bias = call.weight(2)
    return call.module(layer, call.tensor(0))


def _fits(call: Call, shape: Any) -> bool:
    return call.is_stored(2) and call.stored(2).shape == shape


def _rms_norm(call: Call) -> Value:
    rank = call.sample(0).dim()
    normalized = call.sample(0).shape[call.axis(-1, rank) :]
    epsilon = call.attribute("epsilon", 1e-5)
    if call.is_stored(1) and call.stored(1).shape == normalized:
        layer = nn.RMSNorm(normalized, eps=epsilon, dtype=call.stored(1).dtype)
        layer.weight = call.weight(1)
        return call.module(layer, call.tensor(0))
    made = call.call(functional.rms_norm, call.tensor(0), list(normalized), eps=epsilon)
    return call.call(torch.mul, made, call.tensor(1))


def _instance_norm(call: Call) -> Value:
    made = call.call(functional.instance_norm, call.tensor(0), eps=call.attribute("epsilon", 1e-5))
    return _scaled(call, made)


def _group_norm(call: Call) -> Value:
    groups, channels = call.attribute("num_groups"), call.sample(0).shape[1]
    epsilon = call.attribute("epsilon", 1e-5)
    if call.opset >= _PER_CHANNEL_OPSET and call.is_stored(1) and call.is_stored(2):
        layer = nn.GroupNorm(groups, channels, eps=epsilon, dtype=call.stored(1).dtype)
        layer.weight, layer.bias = call.weight(1), call.weight(2)
        return call.module(layer, call.tensor(0))
    made = call.call(functional.group_norm, call.tensor(0), groups, eps=epsilon)
    return _scaled(call, made, repeats=1 if call.opset >= _PER_CHANNEL_OPSET else channels // groups)


def _scaled(call: Call, made: Value, repeats: int = 1) -> Value:
    """Return the values scaled and moved by channel."""
    trailing = [1] * (call.sample(0).dim() - 2)
    scale, bias = (call.call(_by_channel, call.tensor(at), repeats, trailing) for at in (1, 2))
    return call.call(torch.add, call.call(torch.mul, made, scale), bias)


def _by_channel(values: torch.Tensor, repeats: int, trailing: Sequence[int]) -> torch.Tensor:
    return values.repeat_interleave(repeats).reshape(-1, *trailing) if repeats > 1 else values.reshape(-1, *trailing)


def _local_response(call: Call) -> Value:
    size = call.attribute("size")
    alpha, beta, bias = (call.attribute(*one) for one in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    return call.call(_over_channels, call.tensor(0), size, alpha, beta, bias)


def _over_channels(values: torch.Tensor, size: int, alpha: float, beta: float, bias: float) -> torch.Tensor:
    """Divide by the summed squares of ``size`` neighbouring channels (ONNX LRN: the smaller half before)."""
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    squares = functional.pad(values.square().flatten(2), (0, 0, before, after))
    summed = sum(squares[:, at : at + values.shape[1]] for at in range(size))
    assert isinstance(summed, torch.Tensor)
    return values / (bias + alpha / size * summed).pow(beta).reshape(values.shape)


def _lp_norm(call: Call) -> Value:
    rank = call.sample(0).dim()
    return call.call(_to_length_one, call.tensor(0), call.attribute("p", 2), call.axis(-1, rank))


def _to_length_one(values: torch.Tensor, order: int, axis: int) -> torch.Tensor:
    length = values.abs().sum(axis, keepdim=True) if order == 1 else values.square().sum(axis, keepdim=True).sqrt()
    # Zeros stay zeros, as onnxruntime leaves them.
    return values / torch.where(length == 0, torch.ones_like(length), length)


def _mean_variance(call: Call) -> Value:
    return call.call(_standardized, call.tensor(0), list(call.attribute("axes", [0, 2, 3])))


def _standardized(values: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    moved = values - values.mean(axes, keepdim=True)
    return moved / (moved.square().mean(axes, keepdim=True).sqrt() + _MEAN_VARIANCE_EPSILON)


RULES: dict[str, Rule] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LRN": _local_response,
    "LpNormalization": _lp_norm,
    "MeanVarianceNormalization": _mean_variance,
}
