"""Pools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.ops.padding import is_symmetric, padded, torch_pads, window_pads
from steelyard.train.lift.values import Value

_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _max_pool(call: Call) -> Value:
    kernel, ones = call.attribute("kernel_shape"), [1] * len(call.attribute("kernel_shape"))
    strides, dilations = call.attribute("strides", ones), call.attribute("dilations", ones)
    if call.wants(1):
        call.refuse("gives the places of its maxima to other operators")
    ceil = bool(call.attribute("ceil_mode", 0))
    values, padding = padded(call, kernel, strides, dilations, fill=-math.inf)
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        # torch takes no more than half a window.
        pads = torch_pads([*padding, *padding])
        values, padding = call.call(functional.pad, values, pads, value=-math.inf), [0] * len(kernel)
    return call.call(
        _MAX_POOLS[len(kernel)], values, list(kernel), list(strides), padding, list(dilations), ceil_mode=ceil
    )


def _average_pool(call: Call) -> Value:
    kernel, ones = call.attribute("kernel_shape"), [1] * len(call.attribute("kernel_shape"))
    strides = call.attribute("strides", ones)
    if any(one != 1 for one in call.attribute("dilations", ones)):
        call.refuse("averages a dilated window")
    counts_pads = bool(call.attribute("count_include_pad", 0))
    ceil = bool(call.attribute("ceil_mode", 0))
    pads = window_pads(call, kernel, strides, ones)
    if is_symmetric(pads) and all(2 * pad <= size for pad, size in zip(pads, kernel, strict=False)):
        begins = pads[: len(kernel)]
        return call.call(
            _AVERAGE_POOLS[len(kernel)], call.tensor(0), list(kernel), list(strides), begins, ceil, counts_pads
        )
    if counts_pads:
        return call.call(_average_of_padded, call.tensor(0), torch_pads(pads), list(kernel), list(strides), ceil)
    return call.call(_average_of_given, call.tensor(0), torch_pads(pads), list(kernel), list(strides), ceil)


def _average_of_padded(
    values: torch.Tensor, pads: Sequence[int], kernel: Sequence[int], strides: Sequence[int], ceil: bool
) -> Any:
    pool = _AVERAGE_POOLS[len(kernel)]
    return pool(functional.pad(values, pads), kernel, strides, 0, ceil)


def _average_of_given(
    values: torch.Tensor, pads: Sequence[int], kernel: Sequence[int], strides: Sequence[int], ceil: bool
) -> Any:
    """Average over a window without what was padded."""
    pool = _AVERAGE_POOLS[len(kernel)]
    there = torch.ones_like(values[:1, :1])
    share = pool(functional.pad(there, pads), kernel, strides, 0, ceil)
    return pool(functional.pad(values, pads), kernel, strides, 0, ceil) / share


def _over_all(function: Any) -> Rule:
    def rule(call: Call) -> Value:
        return call.call(function, call.tensor(0), dim=list(range(2, call.sample().dim())), keepdim=True)

    return rule


def _lp_norm(values: torch.Tensor, dim: Sequence[int], keepdim: bool, order: float) -> torch.Tensor:
    return values.abs().pow(order).sum(dim, keepdim=keepdim).pow(1 / order)


def _global_lp(call: Call) -> Value:
    axes = list(range(2, call.sample().dim()))
    return call.call(_lp_norm, call.tensor(0), axes, True, float(call.attribute("p", 2)))


RULES: dict[str, Rule] = {
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _over_all(torch.mean),
    "GlobalMaxPool": _over_all(torch.amax),
    "GlobalLpPool": _global_lp,
}
