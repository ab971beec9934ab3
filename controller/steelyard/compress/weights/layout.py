"""Weights of ONNX operators as [outputs, places, inputs], whatever the operator's own order of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.weights.finding import Weight, WeightUse, attribute, input_axis, output_axis


def outputs_first(values: NDArray[Any], use: WeightUse) -> NDArray[Any]:
    """Return weights [...] as [outputs, places, inputs] (convolutions: places of the kernel; recurrent: directions)."""
    order = _order(values.ndim, use)
    moved = np.transpose(values, order)
    return np.ascontiguousarray(moved).reshape(moved.shape[0], -1, moved.shape[-1])


def as_stored(values: NDArray[Any], use: WeightUse, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return what ``outputs_first`` made of weights of ``shape`` in the operator's own order again."""
    order = _order(len(shape), use)
    moved = values.reshape([shape[axis] for axis in order])
    return np.ascontiguousarray(np.transpose(moved, np.argsort(order)))


def has_one_layout(weight: Weight) -> bool:
    """Return whether all that read a weight as one agree which axis is which."""
    rank = len(weight.tensor.dims)
    uses = [use for use in weight.uses if use.is_weight]
    return len({(input_axis(use, rank), output_axis(use, rank)) for use in uses}) == 1


def is_depthwise(weight: Weight) -> bool:
    """Return whether a convolution reads it with one input channel a group, and more than one group."""
    if len(weight.tensor.dims) < 3 or weight.tensor.dims[1] != 1:
        return False
    return any(use.node.op_type == "Conv" and attribute(use.node, "group", 1) > 1 for use in weight.uses)


def _order(rank: int, use: WeightUse) -> list[int]:
    first, last = output_axis(use, rank), input_axis(use, rank)
    return [first, *(axis for axis in range(rank) if axis not in {first, last}), last]
