"""Reductions along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.values import Value

Axes = Sequence[int]


def _reduced(function: Any) -> Rule:
    """Axes are an attribute before opset 13 (ReduceSum) or 18, an input after; none of them means all."""

    def rule(call: Call) -> Value:
        axes = call.numbers("axes", 1)
        if not axes and call.attribute("noop_with_empty_axes", 0):
            return call.call(function, call.tensor(0), [], True)
        axes = [int(one) for one in axes] if axes else list(range(call.sample().dim()))
        return call.call(function, call.tensor(0), axes, bool(call.attribute("keepdims", 1)))

    return rule


def _sum(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return values.sum(axes, keepdim=keep, dtype=values.dtype) if axes else values


def _mean(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    if not axes:
        return values
    mean = values.mean(axes, keepdim=keep, dtype=None if values.is_floating_point() else torch.float64)
    return mean.to(values.dtype)


def _largest(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return values.amax(axes, keepdim=keep) if axes else values


def _smallest(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return values.amin(axes, keepdim=keep) if axes else values


def _product(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    for axis in sorted((one % values.dim() for one in axes), reverse=True):
        values = values.prod(axis, keepdim=keep, dtype=values.dtype)
    return values


def _absolute(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return _sum(values.abs(), axes, keep)


def _squares(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return _sum(values.square(), axes, keep)


def _length(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return _squares(values, axes, keep).sqrt()


def _log_sum(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return _sum(values, axes, keep).log()


def _log_sum_exp(values: torch.Tensor, axes: Axes, keep: bool) -> torch.Tensor:
    return torch.logsumexp(values, axes, keepdim=keep) if axes else values


def _place(function: Any) -> Rule:
    def rule(call: Call) -> Value:
        if call.attribute("select_last_index", 0):
            call.refuse("wants the last of equal values")
        axis = call.axis(0, call.sample().dim())
        return call.call(function, call.tensor(0), dim=axis, keepdim=bool(call.attribute("keepdims", 1)))

    return rule


def _cumulated(call: Call) -> Value:
    axis = int(call.stored(1).reshape(-1)[0])
    flags = bool(call.attribute("exclusive", 0)), bool(call.attribute("reverse", 0))
    return call.call(_running_sum, call.tensor(0), axis, *flags)


def _running_sum(values: torch.Tensor, axis: int, exclusive: bool, backwards: bool) -> torch.Tensor:
    turned = values.flip(axis) if backwards else values
    summed = turned.cumsum(axis, dtype=values.dtype)
    summed = summed - turned if exclusive else summed
    return summed.flip(axis) if backwards else summed


def _top(call: Call) -> list[Value]:
    count = call.attribute("k")
    count = call.sizes(1) if count is None else count
    count = count[0] if isinstance(count, list) else count
    flags = bool(call.attribute("largest", 1)), bool(call.attribute("sorted", 1))
    return call.build.call_many(torch.topk, 2, call.tensor(0), count, call.attribute("axis", -1), *flags)


RULES: dict[str, Rule] = {
    "ReduceSum": _reduced(_sum),
    "ReduceMean": _reduced(_mean),
    "ReduceMax": _reduced(_largest),
    "ReduceMin": _reduced(_smallest),
    "ReduceProd": _reduced(_product),
    "ReduceL1": _reduced(_absolute),
    "ReduceL2": _reduced(_length),
    "ReduceSumSquare": _reduced(_squares),
    "ReduceLogSum": _reduced(_log_sum),
    "ReduceLogSumExp": _reduced(_log_sum_exp),
    "ArgMax": _place(torch.argmax),
    "ArgMin": _place(torch.argmin),
    "CumSum": _cumulated,
    "TopK": _top,
}
