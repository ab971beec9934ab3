"""Activations."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.values import Value

# From here on Softmax works along one axis; before, over all from the axis on.
_ONE_AXIS_OPSET = 13
_RELU6 = 6.0


def unary(function: Any, **defaults: float) -> Rule:
    """Return the rule of a function of one tensor; ``defaults`` are attributes, passed in their order."""

    def rule(call: Call) -> Value:
        return call.call(function, call.tensor(0), *(float(call.attribute(name, defaults[name])) for name in defaults))

    return rule


def _celu(values: torch.Tensor, alpha: float) -> torch.Tensor:
    return functional.celu(values, alpha)


def _selu(values: torch.Tensor, alpha: float, gamma: float) -> torch.Tensor:
    return gamma * functional.elu(values, alpha)


def _hard_sigmoid(values: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    return torch.clamp(values * alpha + beta, 0.0, 1.0)


def _thresholded(values: torch.Tensor, alpha: float) -> torch.Tensor:
    return torch.where(values > alpha, values, torch.zeros_like(values))


def _shrink(values: torch.Tensor, bias: float, lambd: float) -> torch.Tensor:
    moved = torch.where(values > lambd, values - bias, torch.zeros_like(values))
    return torch.where(values < -lambd, values + bias, moved)


def _swish(values: torch.Tensor, alpha: float) -> torch.Tensor:
    return values * torch.sigmoid(values * alpha)


def _clip(call: Call) -> Value:
    """Bounds are attributes before opset 11, inputs after."""
    low = call.number("min", 1)
    high = call.number("max", 2)
    if low is None and high is None:
        return call.given(0)
    if low == 0 and high == _RELU6:
        return call.call(functional.relu6, call.tensor(0))
    return call.call(torch.clamp, call.tensor(0), low, high)


def _gelu(call: Call) -> Value:
    return call.call(functional.gelu, call.tensor(0), approximate=call.attribute("approximate", "none"))


def _prelu(call: Call) -> Value:
    slope, rank = call.sample(1), call.sample(0).dim()
    channels = call.sample(0).shape[1] if rank > 1 else 1
    per_channel = slope.numel() == channels and (slope.dim() < rank - 1 or all(size == 1 for size in slope.shape[1:]))
    if call.is_stored(1) and (slope.numel() == 1 or (slope.dim() == rank - 1 and per_channel)):
        layer = nn.PReLU(slope.numel())
        layer.weight = call.weight(1, slope.reshape(-1), form=":slope")
        return call.module(layer, call.tensor(0))
    return call.call(_sloped, call.tensor(0), call.tensor(1))


def _sloped(values: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    return torch.where(values < 0, values * slope, values)


def _over_axis(name: str) -> Rule:
    function = _OVER_AXIS[name]

    def rule(call: Call) -> Value:
        rank = call.sample().dim()
        if call.opset >= _ONE_AXIS_OPSET:
            return call.call(function, call.tensor(0), dim=call.axis(-1, rank))
        axis = call.axis(1, rank)
        if axis == rank - 1:
            return call.call(function, call.tensor(0), dim=axis)
        return call.call(_over_rest, name, call.tensor(0), axis)

    return rule


def _over_rest(name: str, values: torch.Tensor, axis: int) -> Any:
    return _OVER_AXIS[name](values.flatten(axis), dim=-1).reshape(values.shape)


def _hardmax(values: torch.Tensor, dim: int) -> torch.Tensor:
    top = values.argmax(dim=dim, keepdim=True)
    return torch.zeros_like(values).scatter(dim, top, 1.0)


_OVER_AXIS: dict[str, Any] = {"Softmax": torch.softmax, "LogSoftmax": torch.log_softmax, "Hardmax": _hardmax}


def _dropout(call: Call) -> Any:
    """Dropout acts in training; its second output, the mask, is all true in inference."""
    ratio = float(call.number("ratio", 1, default=0.5))
    made = call.module(nn.Dropout(ratio), call.tensor(0))
    return [made, call.call(_all_kept, call.tensor(0))] if call.wants(1) else made


def _all_kept(values: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(values, dtype=torch.bool)


RULES: dict[str, Rule] = {
    "Relu": unary(functional.relu),
    "Sigmoid": unary(torch.sigmoid),
    "Tanh": unary(torch.tanh),
    "Softplus": unary(functional.softplus),
    "Softsign": unary(functional.softsign),
    "HardSwish": unary(functional.hardswish),
    "Mish": unary(functional.mish),
    "LeakyRelu": unary(functional.leaky_relu, alpha=0.01),
    "Elu": unary(functional.elu, alpha=1.0),
    "Celu": unary(_celu, alpha=1.0),
    "Selu": unary(_selu, alpha=1.6732632423543772, gamma=1.0507009873554805),
    "HardSigmoid": unary(_hard_sigmoid, alpha=0.2, beta=0.5),
    "ThresholdedRelu": unary(_thresholded, alpha=1.0),
    "Shrink": unary(_shrink, bias=0.0, lambd=0.5),
    "Swish": unary(_swish, alpha=1.0),
    "Gelu": _gelu,
    "Clip": _clip,
    "PRelu": _prelu,
    "Softmax": _over_axis("Softmax"),
    "LogSoftmax": _over_axis("LogSoftmax"),
    "Hardmax": _over_axis("Hardmax"),
    "Dropout": _dropout,
}
