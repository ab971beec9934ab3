"""Convolutions."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn import functional

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.ops.padding import is_symmetric, padded
from steelyard.train.lift.values import Value

_LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_FUNCTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED_LAYERS = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def _conv(call: Call) -> Value:
    weight = call.sample(1)
    spatial = weight.dim() - 2
    if spatial not in _LAYERS:
        call.refuse(f"convolves {spatial} spatial axes")
    ones = [1] * spatial
    kernel, strides = list(weight.shape[2:]), call.attribute("strides", ones)
    dilations, groups = call.attribute("dilations", ones), call.attribute("group", 1)
    values, padding = padded(call, kernel, strides, dilations)
    if not call.is_stored(1) or (call.has(2) and not call.is_stored(2)):
        bias = call.tensor(2) if call.has(2) else None
        return call.call(
            _FUNCTIONS[spatial], values, call.tensor(1), bias, list(strides), padding, list(dilations), groups
        )
    layer = _LAYERS[spatial](
        weight.shape[1] * groups, weight.shape[0], tuple(kernel), tuple(strides), tuple(padding), tuple(dilations),
        groups, bias=call.has(2), dtype=weight.dtype,
    )  # fmt: skip
    return call.module(_with_weights(call, layer), values)


def _with_weights(call: Call, layer: Any) -> Any:
    layer.weight = call.weight(1)
    if call.has(2):
        layer.bias = call.weight(2)
    return layer


def _conv_transpose(call: Call) -> Value:
    """PyTorch pads both ends alike and adds to the end; what ONNX wants beyond that is cut off the full output."""
    weight, groups = call.stored(1), call.attribute("group", 1)
    spatial = weight.dim() - 2
    if spatial not in _TRANSPOSED_LAYERS:
        call.refuse(f"convolves {spatial} spatial axes")
    ones = [1] * spatial
    strides, dilations = call.attribute("strides", ones), call.attribute("dilations", ones)
    extra = call.attribute("output_padding", [0] * spatial)
    pads, extra = _transposed_pads(call, list(weight.shape[2:]), strides, dilations, extra)
    inside = is_symmetric(pads) and all(
        more < max(pair) for more, pair in zip(extra, zip(strides, dilations, strict=True), strict=True)
    )
    layer = _TRANSPOSED_LAYERS[spatial](
        weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]), tuple(strides),
        tuple(pads[:spatial]) if inside else 0, tuple(extra) if inside else 0, groups, bias=call.has(2),
        dilation=tuple(dilations), dtype=weight.dtype,
    )  # fmt: skip
    made = call.module(_with_weights(call, layer), call.tensor(0))
    if inside:
        return made
    ends = [pads[spatial + at] - extra[at] for at in range(spatial)]
    if call.has(2) and min(ends) < 0:
        call.refuse("adds output padding beyond its pads, where the bias would be missing")
    return call.call(functional.pad, made, [-cut for at in reversed(range(spatial)) for cut in (pads[at], ends[at])])


def _transposed_pads(
    call: Call, kernel: list[int], strides: Any, dilations: Any, extra: list[int]
) -> tuple[list[int], list[int]]:
    """Return pads (begins, then ends) and output padding, from the attributes or from the size that is wanted."""
    spatial = len(kernel)
    auto, wanted = call.attribute("auto_pad", "NOTSET"), call.attribute("output_shape")
    if wanted is None and not auto.startswith("SAME"):
        none = [0] * 2 * spatial
        return list(call.attribute("pads", none)) if auto == "NOTSET" else none, list(extra)
    sizes = list(call.sample().shape[2:])
    wanted = wanted[-spatial:] if wanted else [size * stride for size, stride in zip(sizes, strides, strict=True)]
    begins, ends, more = [], [], []
    for size, want, stride, width, dilation, extended in zip(
        sizes, wanted, strides, kernel, dilations, extra, strict=True
    ):
        total = (size - 1) * stride + extended + (width - 1) * dilation + 1 - want
        small, large = max(0, total) // 2, max(0, total) - max(0, total) // 2
        # The standard: SAME_UPPER puts the larger half at the end, everything else at the begin.
        begins.append(small if auto == "SAME_UPPER" else large)
        ends.append(large if auto == "SAME_UPPER" else small)
        more.append(extended + max(0, -total))
    return begins + ends, more


RULES: dict[str, Rule] = {"Conv": _conv, "ConvTranspose": _conv_transpose}
