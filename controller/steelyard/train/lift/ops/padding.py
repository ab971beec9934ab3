"""Padding that ONNX puts into other operators: auto_pad, and more on one side than on the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from steelyard.train.lift.call import Call
from steelyard.train.lift.values import Made, Stored, Value


def window_pads(call: Call, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Return ONNX pads (all begins, then all ends) of a convolution or pool over the sample's spatial sizes."""
    auto = call.attribute("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        return list(call.attribute("pads", [0] * 2 * len(kernel)))
    if auto == "VALID":
        return [0] * 2 * len(kernel)
    sizes = call.sample().shape[2:]
    each = [
        same_pads(size, *window, upper=auto == "SAME_UPPER")
        for size, window in zip(sizes, zip(kernel, strides, dilations, strict=True), strict=True)
    ]
    return [begin for begin, _ in each] + [end for _, end in each]


def same_pads(size: int, kernel: int, stride: int, dilation: int, *, upper: bool) -> tuple[int, int]:
    """Return what SAME_UPPER or SAME_LOWER puts before and after, so that the output is ceil(size / stride)."""
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def is_symmetric(pads: Sequence[int]) -> bool:
    """Return whether as much is put before as after, on every axis."""
    half = len(pads) // 2
    return list(pads[:half]) == list(pads[half:])


def torch_pads(pads: Sequence[int]) -> list[int]:
    """Return ONNX pads as ``torch.nn.functional.pad`` takes them: pairs, the last axis first."""
    half = len(pads) // 2
    return [pads[side * half + axis] for axis in reversed(range(half)) for side in (0, 1)]


def needs_size(call: Call, strides: Sequence[int]) -> bool:
    """Return whether the pads follow a size that is only known when the module runs."""
    return (
        str(call.attribute("auto_pad", "NOTSET")).startswith("SAME")
        and call.build.has_open_sizes
        and any(stride > 1 for stride in strides)
    )


def pad_same(
    values: torch.Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    upper: bool,
    fill: float,
) -> torch.Tensor:
    """Pad by the sizes that the tensor has now."""
    windows = zip(kernel, strides, dilations, strict=True)
    each = [same_pads(size, *one, upper=upper) for size, one in zip(values.shape[2:], windows, strict=True)]
    return functional.pad(values, torch_pads([begin for begin, _ in each] + [end for _, end in each]), value=fill)


def padded(
    call: Call, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], *, fill: float = 0.0
) -> tuple[Made | Stored | Value, list[int]]:
    """Return the input and the symmetric padding [by axis] that is left to the layer; anything else is padded here."""
    if needs_size(call, strides):
        upper = call.attribute("auto_pad") == "SAME_UPPER"
        made = call.call(pad_same, call.tensor(0), list(kernel), list(strides), list(dilations), upper, fill)
        return made, [0] * len(kernel)
    pads = window_pads(call, kernel, strides, dilations)
    if is_symmetric(pads) and min(pads) >= 0:
        return call.tensor(0), pads[: len(kernel)]
    return call.call(functional.pad, call.tensor(0), torch_pads(pads), value=fill), [0] * len(kernel)
