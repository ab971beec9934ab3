"""The part of a TFLite model that XNNPACK can run sparsely, or the condition that fails.

The conditions are those of "Sparse Inference" in the README of TensorFlow Lite's XNNPACK delegate, and of
xnn_check_nchw_compatibility and xnn_subgraph_rewrite_for_nchw in XNNPACK's src/subgraph.c, read narrowly: the part
begins with 3x3 convolutions with stride 2 on 3 channels, ends with a mean over height and width (or DEPTH_TO_SPACE),
holds only operators that work channel by channel, and more than two thirds of its 1x1 weights are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.compress.errors import CompressionInputError
from steelyard.compress.tflite.graph import Graph, inputs_of, outputs_of

_UNARY = frozenset({
    "ABS", "CEIL", "ELU", "FLOOR", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "NEG", "RELU", "RELU6", "RELU_N1_TO_1",
    "ROUND", "SQUARE",
})  # fmt: skip
_UNPACKING = frozenset({"DENSIFY", "DEQUANTIZE"})
_RANK = 4
_SPATIAL_AXES = {1, 2}
_SAME, _VALID = 0, 1
# Of the schema: NONE, RELU, RELU_N1_TO_1, RELU6, which XNNPACK has as the bounds of a result.
_BOUNDS = frozenset({0, 1, 2, 3})

Padding = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseRegion:
    """The weights of 1x1 convolutions in the part: tensors with any value, how many weights there are and are zero.

    ``is_sparse_with_classifier``: so many are zero with those of the FULLY_CONNECTED behind the part, too. XNNPACK in
    LiteRT 2.3 does not count them (1,000 dense outputs changed nothing there under emulation), later sources do.
    """

    weights: tuple[int, ...]
    weight_count: int
    zero_count: int
    is_sparse_with_classifier: bool


class _UnfitError(Exception):
    """Why an operator cannot be in the part, or the part cannot be run."""


def find_region(graph: Graph, name: str) -> SparseRegion:
    """Return the part that XNNPACK runs sparsely.

    Raises:
        CompressionInputError: no_sparse_region, naming the condition that fails.
    """
    ends = [operator for operator in graph.operators if _is_end(graph, operator)]
    found = [_region_or_reason(graph, end) for end in reversed(ends)]
    found.append("it has no MEAN over height and width and no DEPTH_TO_SPACE, one of which must end the sparse part")
    for region in found:
        if isinstance(region, SparseRegion):
            return region
    raise CompressionInputError(
        "no_sparse_region",
        f"XNNPACK would not run {name} sparsely: {found[0]}; use the model with its zeros in dense weights, whose file "
        "compresses well, or change its architecture",
    )


def _region_or_reason(graph: Graph, end: Any) -> SparseRegion | str:
    try:
        members = _members(graph, end)
        _check_readers(graph, members)
        return _counted(graph, members, _classifiers(graph, end))
    except _UnfitError as unfit:
        return str(unfit)


def _counted(graph: Graph, members: list[Any], classifiers: list[Any]) -> SparseRegion:
    pointwise = _stored_weights(graph, [one for one in members if _is_pointwise(graph, one)])
    if not pointwise:
        raise _UnfitError("it has no 1x1 convolution in the part that could run sparsely")
    weight_count, zero_count = _counts(pointwise)
    if not _are_enough(weight_count, zero_count):
        raise _UnfitError(
            f"{100 * zero_count / weight_count:.1f} % of the weights of its 1x1 convolutions are zero, and more than "
            "66.7 % must be (put sparsify with a higher share before it)"
        )
    return SparseRegion(
        weights=tuple(tensor for tensor, values in pointwise.items() if np.any(values)),
        weight_count=weight_count,
        zero_count=zero_count,
        is_sparse_with_classifier=_are_enough(*_counts({**pointwise, **_stored_weights(graph, classifiers)})),
    )


def _stored_weights(graph: Graph, operators: list[Any]) -> dict[int, NDArray[Any]]:
    weights = [inputs_of(operator)[1] for operator in operators]
    return {tensor: values for tensor in weights if (values := graph.values(tensor)) is not None}


def _counts(weights: dict[int, NDArray[Any]]) -> tuple[int, int]:
    """Return how many weights there are, and how many are zero."""
    return sum(one.size for one in weights.values()), sum(int((one == 0).sum()) for one in weights.values())


def _are_enough(weight_count: int, zero_count: int) -> bool:
    return zero_count * 3 > weight_count * 2


def _classifiers(graph: Graph, end: Any) -> list[Any]:
    """Return the FULLY_CONNECTED operators that read what the part ends with, one behind the other."""
    found: list[Any] = []
    waiting = [end]
    while waiting:
        readers = graph.consumers(outputs_of(waiting.pop())[0])
        dense = [one for one in readers if graph.kind(one) == "FULLY_CONNECTED"]
        found += dense
        waiting += dense
    return found


def _members(graph: Graph, end: Any) -> list[Any]:
    """Return the operators of the part that ends with ``end``, going from it against the data up to its entries."""
    members, waiting = [end], [end]
    seen = {id(end)}
    while waiting:
        operator = waiting.pop()
        for tensor in _runtime_inputs(graph, operator):
            producer = graph.producer(_unpadded(graph, operator, tensor))
            if producer is None:
                raise _UnfitError(
                    f"the part reaches the input {graph.name(tensor)!r} without a 3x3 convolution with stride 2 and "
                    "padding 1 on 3 channels, which must begin it"
                )
            if id(producer) in seen:
                continue
            seen.add(id(producer))
            members.append(producer)
            entry_trouble = _entry_trouble(graph, producer)
            if entry_trouble is not None:
                _check_inner(graph, producer, entry_trouble)
                waiting.append(producer)
    return members


def _check_readers(graph: Graph, members: list[Any]) -> None:
    """Refuse a part of which something outside of it reads what only the part lays out by channels."""
    known = {id(operator) for operator in members}
    known |= {id(graph.producer(inputs_of(one)[0])) for one in members if _moves_pad(graph, one)}
    for operator in members:
        if _entry_trouble(graph, operator) is None:
            continue  # what it reads stands outside of the part
        for tensor in _runtime_inputs(graph, operator):
            place = _unpadded(graph, operator, tensor)
            outside = [graph.kind(one) for one in graph.consumers(place) if id(one) not in known]
            if outside:
                raise _UnfitError(f"{graph.name(place)!r} in its sparse part is read by {outside[0]} outside of it too")
            if place in graph.outputs:
                raise _UnfitError(f"{graph.name(place)!r} in its sparse part is an output of the model")


def _is_end(graph: Graph, operator: Any) -> bool:
    return graph.kind(operator) == "DEPTH_TO_SPACE" or _is_spatial_mean(graph, operator)


def _is_spatial_mean(graph: Graph, operator: Any) -> bool:
    if graph.kind(operator) != "MEAN":
        return False
    source, axes = inputs_of(operator)[:2]
    values = graph.values(axes)
    rank = len(graph.shape(source))
    return values is not None and rank == _RANK and {int(axis) % _RANK for axis in values.reshape(-1)} == _SPATIAL_AXES


def _entry_trouble(graph: Graph, operator: Any) -> str | None:
    """Return why an operator is not the 3x3 convolution that begins a part, None when it is."""
    if graph.kind(operator) != "CONV_2D":
        return "it is none"
    options, (_outputs, height, width, channels) = operator.builtinOptions, graph.shape(inputs_of(operator)[1])
    steps = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    checks = (
        ((height, width) == (3, 3), f"its kernel is {height}x{width}"),
        (steps == (2, 2, 1, 1), f"its stride is {options.strideH}x{options.strideW}"),
        (channels == 3 and _channels(graph, operator) == 3, f"it reads {_channels(graph, operator)} channels"),
        (options.fusedActivationFunction in _BOUNDS, "it ends with an activation that XNNPACK does not fuse"),
        (
            _padding(graph, operator) == (1, 1, 1, 1),
            "its padding is not 1 on each side (with stride 2 that takes a PAD before it)",
        ),
    )
    return next((trouble for holds, trouble in checks if not holds), None)


def _check_inner(graph: Graph, operator: Any, entry_trouble: str) -> None:
    """Refuse an operator that cannot stand inside of a part."""
    kind = graph.kind(operator)
    made = graph.name(outputs_of(operator)[0])
    if kind == "CONV_2D":
        if not _is_pointwise(graph, operator):
            _outputs, height, width, _channel_count = graph.shape(inputs_of(operator)[1])
            raise _UnfitError(
                f"the {height}x{width} convolution {made!r} is no 1x1 convolution with stride 1, and none that may "
                f"begin the part ({entry_trouble})"
            )
    elif kind == "DEPTHWISE_CONV_2D":
        _check_depthwise(graph, operator, made)
    elif kind in {"ADD", "MUL"}:
        _check_binary(graph, operator, made)
    elif kind == "RESIZE_BILINEAR":
        if min(graph.shape(inputs_of(operator)[0])[1:3]) <= 1:
            raise _UnfitError(f"RESIZE_BILINEAR {made!r} reads a picture of one row or column")
    elif kind in _UNARY:
        if len(graph.shape(inputs_of(operator)[0])) != _RANK:
            raise _UnfitError(f"{kind} {made!r} reads no picture (4 dimensions)")
    elif not _is_spatial_mean(graph, operator):
        raise _UnfitError(f"{kind} ({made!r}) cannot stand in a sparse part")
    _check_bounds(operator, kind, made)


def _check_depthwise(graph: Graph, operator: Any, made: str) -> None:
    options, (_one, height, width, channels) = operator.builtinOptions, graph.shape(inputs_of(operator)[1])
    if height != width or height not in {3, 5}:
        raise _UnfitError(f"the depthwise convolution {made!r} has a {height}x{width} kernel; 3x3 and 5x5 can be run")
    if options.strideH != options.strideW or options.strideH not in {1, 2}:
        raise _UnfitError(f"the depthwise convolution {made!r} has the stride {options.strideH}x{options.strideW}")
    if (options.dilationHFactor, options.dilationWFactor) != (1, 1) or channels != _channels(graph, operator):
        raise _UnfitError(f"the depthwise convolution {made!r} is dilated, or makes several channels of one")
    margin = height // 2
    if _padding(graph, operator) != (margin,) * 4:
        raise _UnfitError(
            f"the depthwise convolution {made!r} is not padded by {margin} on each side (with stride 2 that takes a "
            "PAD before it instead of SAME)"
        )


def _check_binary(graph: Graph, operator: Any, made: str) -> None:
    for tensor in inputs_of(operator):
        shape = graph.shape(tensor)
        if len(shape) != _RANK:
            raise _UnfitError(f"{graph.kind(operator)} {made!r} reads something of {len(shape)} dimensions, not 4")
        if _is_static(graph, tensor) and sum(size != 1 for size in shape) > 1:
            raise _UnfitError(f"{graph.kind(operator)} {made!r} reads a constant that is neither a number nor a vector")


def _check_bounds(operator: Any, kind: str, made: str) -> None:
    fused = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    if fused not in _BOUNDS:
        raise _UnfitError(f"{kind} {made!r} ends with an activation that XNNPACK does not fuse")


def _is_pointwise(graph: Graph, operator: Any) -> bool:
    if graph.kind(operator) != "CONV_2D":
        return False
    options, (_outputs, height, width, channels) = operator.builtinOptions, graph.shape(inputs_of(operator)[1])
    steps = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    is_plain = (height, width) == (1, 1) and steps == (1, 1, 1, 1) and channels == _channels(graph, operator)
    return is_plain and not _is_pad(graph, graph.producer(inputs_of(operator)[0]))


def _channels(graph: Graph, operator: Any) -> int:
    return graph.shape(inputs_of(operator)[0])[-1]


def _padding(graph: Graph, operator: Any) -> Padding | None:
    """Return what a convolution adds at the top, bottom, left and right; None when the size of its input decides."""
    options = operator.builtinOptions
    _first, height, width, _last = graph.shape(inputs_of(operator)[1])
    if options.padding == _SAME:
        if (options.strideH, options.strideW) != (1, 1) or height % 2 == 0 or width % 2 == 0:
            return None
        return height // 2, height // 2, width // 2, width // 2
    added = _pad_before(graph, operator)
    return (0, 0, 0, 0) if added is None else added


def _pad_before(graph: Graph, operator: Any) -> Padding | None:
    """Return what a PAD before a convolution adds that XNNPACK moves into it, None without one."""
    source = inputs_of(operator)[0]
    pad = graph.producer(source)
    if not _is_pad(graph, pad) or len(graph.consumers(source)) != 1 or source in graph.outputs:
        return None
    amounts = graph.values(inputs_of(pad)[1])
    if amounts is None or amounts.shape != (_RANK, 2) or np.any(amounts[[0, 3]]):
        return None
    (top, bottom), (left, right) = amounts[1], amounts[2]
    return int(top), int(bottom), int(left), int(right)


def _unpadded(graph: Graph, operator: Any, tensor: int) -> int:
    """Return what a PAD reads that becomes part of ``operator``, else ``tensor``."""
    return inputs_of(graph.producer(tensor))[0] if _moves_pad(graph, operator) else tensor


def _moves_pad(graph: Graph, operator: Any) -> bool:
    """Return whether XNNPACK makes the PAD before an operator its own padding."""
    is_convolution = graph.kind(operator) in {"CONV_2D", "DEPTHWISE_CONV_2D"}
    return is_convolution and operator.builtinOptions.padding == _VALID and _pad_before(graph, operator) is not None


def _is_pad(graph: Graph, operator: Any | None) -> bool:
    return operator is not None and graph.kind(operator) == "PAD"


def _runtime_inputs(graph: Graph, operator: Any) -> list[int]:
    return [tensor for tensor in inputs_of(operator) if not _is_static(graph, tensor)]


def _is_static(graph: Graph, tensor: int) -> bool:
    if graph.data(tensor) is not None:
        return True
    producer = graph.producer(tensor)
    return producer is not None and graph.kind(producer) in _UNPACKING and _is_static(graph, inputs_of(producer)[0])
