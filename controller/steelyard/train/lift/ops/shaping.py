"""Operators that move elements and compute none: reshape, transpose, join, split, pad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.ops import size_functions
from steelyard.train.lift.ops.padding import torch_pads
from steelyard.train.lift.values import Made, Sizes, Stored, Value

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _reshape(call: Call) -> Value:
    shape = call.attribute("shape")
    shape = call.sizes(1) if shape is None else list(shape)
    zero_is_zero = bool(call.attribute("allowzero", 0))
    if isinstance(shape, list):
        shape = _with_open_batch(call, shape)
        given = call.sample().shape
        if len(shape) == 2 and len(given) > 2 and _flattens(shape, list(given)):
            return call.call(torch.flatten, call.tensor(0), 1)
        if (kept := _kept_axes(shape, list(given), zero_is_zero)) != (0, 0):
            return call.call(_reshaped_inside, call.tensor(0), shape, *kept)
    return call.call(_reshaped, call.tensor(0), shape, zero_is_zero)


def _kept_axes(shape: list[int], given: list[int], zero_is_zero: bool) -> tuple[int, int]:
    """Return how many axes behind the batch, and how many at the end, stay as they are: a pruner may change them."""
    if 0 in given or 0 in shape[1:] or (zero_is_zero and 0 in shape) or len(shape) < 2:
        return 0, 0
    most = min(len(shape), len(given)) - 1
    rest = math.prod(shape[1:])
    is_batch = rest > 0 and math.prod(given) == given[0] * rest
    first = next((at for at in range(most) if shape[1 + at] != given[1 + at]), most) if is_batch else 0
    last = next((at for at in range(most - first) if shape[-1 - at] != given[-1 - at]), most - first)
    return first, last


def _reshaped_inside(values: torch.Tensor, shape: Sequence[Any], first: int, last: int) -> torch.Tensor:
    """Reshape, with the sizes that there are in ``first`` axes behind the batch and in the ``last``."""
    given = values.shape
    middle = list(shape[1 + first : len(shape) - last])
    begin = (shape[0] or given[0]) if -1 in middle else -1
    return values.reshape([begin, *given[1 : 1 + first], *middle, *given[len(given) - last :]])


def _with_open_batch(call: Call, shape: list[int]) -> list[int]:
    """Return the shape with 0 (as many as there are) where the file has its fixed batch, and the tensor ours."""
    build, given = call.build, call.sample().shape
    if build.fixed_batch is None or not shape or not given or given[0] != build.batch:
        return shape
    if shape[0] == build.fixed_batch and (len(shape) > 1 or build.fixed_batch > 1):
        return [0, *shape[1:]]
    if shape[0] != -1 and -1 not in shape and math.prod(shape) * build.batch == given.numel() * build.fixed_batch:
        # The batch is folded into the first axis.
        return [-1, *shape[1:]]
    return shape


def _flattens(shape: list[int], given: list[int]) -> bool:
    """Return whether everything but the first axis becomes one: said so that a pruned width changes nothing."""
    rest = math.prod(given[1:])
    first = shape[0] in (0, -1, given[0])
    return first and (shape[1] == rest or (shape[1] == -1 and shape[0] in (0, given[0])))


def _reshaped(values: torch.Tensor, shape: Sequence[Any], zero_is_zero: bool) -> torch.Tensor:
    kept = [
        values.shape[at] if isinstance(size, int) and size == 0 and not zero_is_zero else size
        for at, size in enumerate(shape)
    ]
    return values.reshape(kept)


def _flatten(call: Call) -> Value:
    axis, rank = call.attribute("axis", 1), call.sample().dim()
    axis = axis + rank if axis < 0 else axis
    if axis == 1 and rank > 1:
        return call.call(torch.flatten, call.tensor(0), 1)
    return call.call(_flat_around, call.tensor(0), axis)


def _flat_around(values: torch.Tensor, axis: int) -> torch.Tensor:
    return values.reshape(math.prod(values.shape[:axis]), math.prod(values.shape[axis:]))


def _transpose(call: Call) -> Value:
    given = call.given(0)
    order = call.attribute("perm") or list(reversed(range(call.sample().dim())))
    if isinstance(given, Stored):
        key = given.key.removesuffix(":T") if given.key.endswith(":T") else f"{given.key}:T"
        tied = given.key and list(order) == [1, 0]
        return Stored(tensor=given.tensor.permute(list(order)), key=key if tied else "")
    return call.call(torch.permute, call.tensor(0), list(order))


def _axes(call: Call) -> list[int] | None:
    axes = call.numbers("axes", 1)
    return None if axes is None else [int(one) for one in axes]


def _squeeze(call: Call) -> Value:
    axes = _axes(call)
    rank = call.sample().dim()
    if axes is None:
        axes = [at for at, size in enumerate(call.sample().shape) if size == 1]
    return call.call(torch.squeeze, call.tensor(0), sorted({one % rank for one in axes})) if rank else call.given(0)


def _unsqueeze(call: Call) -> Value:
    axes = _axes(call) or []
    rank = call.sample().dim() + len(axes)
    made: Value = call.tensor(0)
    for axis in sorted(one % rank for one in axes):
        made = call.call(torch.unsqueeze, made, axis)
    return made


def _concat(call: Call) -> Value:
    parts = call.tensors()
    axis = call.axis(1, max(part.sample.dim() for part in parts))
    # Whoever computes nothing may leave an empty part of rank 1.
    parts = [part for part in parts if not (isinstance(part, Stored) and part.tensor.numel() == 0)] or parts
    computed = next((part for part in parts if isinstance(part, Made)), None)
    if computed is not None and axis != 0:
        parts = [_as_many(call, part, computed) for part in parts]
    return call.call(torch.cat, parts, dim=axis)


def _as_many(call: Call, part: Any, computed: Made) -> Any:
    """Return a stored part for each sample of the batch, where the file has it for its fixed batch."""
    build = call.build
    is_fixed = isinstance(part, Stored) and build.fixed_batch == 1 and part.tensor.dim() > 1 and len(part.tensor) == 1
    if not is_fixed or computed.sample.shape[0] != build.batch:
        return part
    return call.call(_repeated, part, computed)


def _repeated(part: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return part.expand(like.shape[0], *part.shape[1:])


def _split(call: Call) -> Any:
    axis, count = call.axis(0, call.sample().dim()), len(call.operation.outputs)
    sizes = call.numbers("split", 1)
    if sizes is None:
        whole = call.sample().shape[axis]
        each = -(-whole // int(call.attribute("num_outputs", count)))
        sizes = [min(each, whole - at * each) for at in range(count)]
    return call.build.call_many(torch.split, count, call.tensor(0), [int(one) for one in sizes], axis)


def _expand(call: Call) -> Value:
    shape = call.sizes(1)
    if isinstance(shape, list) and call.build.fixed_batch is not None:
        shape = _with_open_batch(call, shape) if len(shape) == call.sample().dim() else shape
    return call.call(_expanded, call.tensor(0), shape)


def _expanded(values: torch.Tensor, shape: Sequence[Any]) -> torch.Tensor:
    """Broadcast to a shape: both ways, as ONNX Expand does."""
    given = [1] * (len(shape) - values.dim()) + list(values.shape)
    wanted = [1] * (len(given) - len(shape)) + list(shape)
    # A size of 1, or 0 that stands for the one there is, keeps what is there.
    kept = [
        have if isinstance(want, int) and want in (0, 1) else want for have, want in zip(given, wanted, strict=True)
    ]
    return values.expand(kept)


def _tile(call: Call) -> Value:
    return call.call(torch.Tensor.repeat, call.tensor(0), call.sizes(1))


def _pad(call: Call) -> Value:
    mode = _PAD_MODES.get(call.attribute("mode", "constant"), "")
    if not mode:
        call.refuse(f"pads in the mode {call.attribute('mode')!r}")
    rank = call.sample().dim()
    pads = call.numbers("pads", 1) if call.attribute("pads") or call.is_stored(1) else None
    fill = call.number("value", 2, default=0.0)
    if pads is None:
        if mode != "constant" or call.has(3):
            call.refuse("computes how much it pads")
        return call.call(_padded_by, call.tensor(0), call.sizes(1), fill)
    if call.has(3):
        pads = _spread(pads, [int(one) % rank for one in call.stored(3).tolist()], rank)
    pairs = torch_pads([int(one) for one in pads])
    while len(pairs) > 2 and pairs[-2:] == [0, 0]:
        pairs = pairs[:-2]
    if mode == "constant":
        return call.call(functional.pad, call.tensor(0), pairs, value=fill)
    return call.call(functional.pad, call.tensor(0), pairs, mode=mode)


def _spread(pads: Sequence[int], axes: Sequence[int], rank: int) -> list[int]:
    whole = [0] * 2 * rank
    for at, axis in enumerate(axes):
        whole[axis], whole[rank + axis] = pads[at], pads[len(axes) + at]
    return whole


def _padded_by(values: torch.Tensor, pads: Sequence[Any], fill: float) -> torch.Tensor:
    return functional.pad(values, torch_pads(pads), value=fill)


def _depth_to_space(call: Call) -> Value:
    block = call.attribute("blocksize")
    if call.attribute("mode", "DCR") == "CRD":
        return call.call(functional.pixel_shuffle, call.tensor(0), block)
    return call.call(_depth_first, call.tensor(0), block)


def _depth_first(values: torch.Tensor, block: int) -> torch.Tensor:
    batch, channels, height, width = values.shape
    parts = values.reshape(batch, block, block, channels // block**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(batch, channels // block**2, height * block, width * block)


def _space_to_depth(values: torch.Tensor, block: int) -> torch.Tensor:
    batch, channels, height, width = values.shape
    parts = values.reshape(batch, channels, height // block, block, width // block, block)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * block**2, height // block, width // block)


def _space(call: Call) -> Value:
    block = call.attribute("blocksize")
    if call.attribute("mode", "DCR") == "CRD":
        return call.call(functional.pixel_unshuffle, call.tensor(0), block)
    return call.call(_space_to_depth, call.tensor(0), block)


def _triangle(call: Call) -> Value:
    diagonal = int(call.number("k", 1, default=0))
    return call.call(torch.triu if call.attribute("upper", 1) else torch.tril, call.tensor(0), diagonal)


def _shape(call: Call) -> Value:
    start, end = call.attribute("start", 0), call.attribute("end")
    given = call.given(0)
    if isinstance(given, Sizes):
        return Stored(tensor=torch.tensor(list(call.sample().shape)[start:end]), key="")
    return call.call(size_functions.of_tensor, given, start, end)


def _size(call: Call) -> Value:
    return call.call(size_functions.count_of, call.tensor(0))


RULES: dict[str, Rule] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space,
    "Trilu": _triangle,
    "Shape": _shape,
    "Size": _size,
}
