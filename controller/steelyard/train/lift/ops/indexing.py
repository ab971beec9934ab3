"""Operators that pick elements, put them, or make tensors: Gather (an embedding), Slice, Scatter, Range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from steelyard.train.lift.call import Call, Rule
from steelyard.train.lift.ops.elementwise import DTYPES
from steelyard.train.lift.values import Made, Sizes, Value, is_weight

# What converters write for "to the end".
_NO_END = 10**9
_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _gather(call: Call) -> Value:
    """Of a stored matrix of weights by computed places, an embedding."""
    axis = call.axis(0, call.sample(0).dim())
    computed = isinstance(call.tensor(1), Made)
    if call.is_stored(0) and computed and axis == 0 and call.stored(0).dim() == 2 and is_weight(call.stored(0)):
        count, width = call.stored(0).shape
        layer = nn.Embedding(count, width, _weight=call.stored(0))
        layer.weight = call.weight(0)
        places = call.tensor(1)
        return call.module(layer, places if _never_negative(call) else call.call(_from_front, places, count))
    return call.call(_taken, call.tensor(0), call.tensor(1), axis)


def _never_negative(call: Call) -> bool:
    """Return whether the places are an input of the model, which an embedding takes as they are."""
    made = call.tensor(1)
    return isinstance(made, Made) and made.node.op == "placeholder"


def _from_front(places: torch.Tensor, count: int) -> torch.Tensor:
    return torch.where(places < 0, places + count, places)


def _taken(values: torch.Tensor, places: torch.Tensor, axis: int) -> torch.Tensor:
    places = torch.where(places < 0, places + values.shape[axis], places)
    taken = torch.index_select(values, axis, places.reshape(-1))
    return taken.reshape(*values.shape[:axis], *places.shape, *values.shape[axis + 1 :])


def _gather_elements(call: Call) -> Value:
    return call.call(_picked, call.tensor(0), call.tensor(1), call.axis(0, call.sample(0).dim()))


def _picked(values: torch.Tensor, places: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.gather(values, axis, _from_front(places, values.shape[axis]).long())


def _gather_nd(call: Call) -> Value:
    if call.attribute("batch_dims", 0):
        call.refuse("gathers with batch axes")
    return call.call(_at_places, call.tensor(0), call.tensor(1))


def _at_places(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return values[tuple(places.long().unbind(-1))]


def _scatter_elements(call: Call) -> Value:
    axis, reduction = call.axis(0, call.sample(0).dim()), call.attribute("reduction", "none")
    if reduction == "none":
        return call.call(_put, call.tensor(0), call.tensor(1), call.tensor(2), axis)
    return call.call(_put_reduced, call.tensor(0), call.tensor(1), call.tensor(2), axis, _REDUCTIONS[reduction])


def _put(values: torch.Tensor, places: torch.Tensor, updates: torch.Tensor, axis: int) -> torch.Tensor:
    return values.scatter(axis, _from_front(places, values.shape[axis]).long(), updates)


def _put_reduced(
    values: torch.Tensor, places: torch.Tensor, updates: torch.Tensor, axis: int, reduction: str
) -> torch.Tensor:
    return values.scatter_reduce(axis, _from_front(places, values.shape[axis]).long(), updates, reduction)


def _scatter_nd(call: Call) -> Value:
    reduction = call.attribute("reduction", "none")
    if reduction not in ("none", "add"):
        call.refuse(f"scatters with the reduction {reduction!r}")
    return call.call(_put_nd, call.tensor(0), call.tensor(1), call.tensor(2), reduction == "add")


def _put_nd(values: torch.Tensor, places: torch.Tensor, updates: torch.Tensor, adds: bool) -> torch.Tensor:
    return values.index_put(tuple(places.long().unbind(-1)), updates, accumulate=adds)


def _slice(call: Call) -> Value:
    starts, ends, axes, steps = _slice_bounds(call)
    rank = call.sample().dim()
    axes = [one % rank for one in axes] if axes is not None else list(range(_count(call, starts)))
    steps = steps or [1] * len(axes)
    if all(isinstance(one, list) for one in (starts, ends)) and all(step > 0 for step in steps):
        made: Value = call.tensor(0)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            end_or_none = None if end >= _NO_END else end
            if (start, end_or_none, step) != (0, None, 1):
                made = call.call(_cut, made, axis, start, end_or_none, step)
        return made
    return call.call(_sliced, call.tensor(0), starts, ends, axes, steps)


def _slice_bounds(call: Call) -> tuple[Any, Any, list[int] | None, list[int] | None]:
    """Bounds are attributes before opset 10."""
    if call.attribute("starts") is not None:
        return call.attribute("starts"), call.attribute("ends"), call.attribute("axes"), None
    axes = call.stored(3).tolist() if call.has(3) else None
    return call.sizes(1), call.sizes(2), axes, call.stored(4).tolist() if call.has(4) else None


def _count(call: Call, starts: Any) -> int:
    return len(starts) if isinstance(starts, list) else len(starts.sample)


def _cut(values: torch.Tensor, axis: int, start: Any, end: Any, step: int) -> torch.Tensor:
    return values[(slice(None),) * axis + (slice(start, end, step),)]


def _sliced(
    values: torch.Tensor, starts: Sequence[Any], ends: Sequence[Any], axes: Sequence[int], steps: Sequence[int]
) -> torch.Tensor:
    """Cut along axes; backwards by picking, since torch takes no negative step."""
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step > 0:
            values = _cut(values, axis, start, end, step)
            continue
        places = list(range(values.shape[axis]))[_from_end(start) : _from_end(end) : step]
        values = torch.index_select(values, axis, torch.tensor(places, dtype=torch.long, device=values.device))
    return values


def _from_end(bound: int) -> int | None:
    """Return a bound for a list that is read backwards: one far before the front means all."""
    return None if abs(bound) >= _NO_END else bound


def _range(call: Call) -> Value:
    bounds = [call.sizes(at) for at in range(3)]
    if not any(isinstance(one, Sizes) for one in bounds):
        return call.call(torch.arange, *bounds, dtype=call.sample(0).dtype)
    return call.call(_counted, *bounds, call.build.reference(), dtype=call.sample(0).dtype)


def _counted(start: Any, end: Any, step: Any, like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.arange(start, end, step, device=like.device, dtype=dtype)


def _filled(call: Call) -> Value:
    value = call.attribute("value")
    number, dtype = (0.0, torch.float32) if value is None else (value.item(), torch.as_tensor(value.copy()).dtype)
    sizes = call.sizes(0)
    if isinstance(sizes, list):
        return call.call(torch.full, sizes, number, dtype=dtype)
    return call.call(_full, sizes, number, call.build.reference(), dtype=dtype)


def _full(sizes: Sequence[Any], number: float, like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.full(list(sizes), number, dtype=dtype, device=like.device)


def _one_hot(call: Call) -> Value:
    depth = call.sizes(1)
    depth = depth[0] if isinstance(depth, list) else depth
    depth = depth if isinstance(depth, Sizes) else int(depth)
    return call.call(_hot, call.tensor(0), depth, call.tensor(2), call.attribute("axis", -1))


def _hot(places: torch.Tensor, depth: int, values: torch.Tensor, axis: int) -> torch.Tensor:
    hot = functional.one_hot(places.long() % depth, depth).movedim(-1, axis).bool()
    return torch.where(hot, values[1], values[0])


def _eye(call: Call) -> Value:
    dtype = DTYPES.get(call.attribute("dtype", 0), call.sample(0).dtype)
    return call.call(_diagonal, call.tensor(0), call.attribute("k", 0), dtype)


def _diagonal(like: torch.Tensor, offset: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.ones_like(like, dtype=dtype).triu(offset).tril(offset)


def _grid_sample(call: Call) -> Value:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(call.attribute("mode", "bilinear"))
    aligned = bool(call.attribute("align_corners", 0))
    return call.call(
        functional.grid_sample, call.tensor(0), call.tensor(1), mode or call.attribute("mode", "bilinear"),
        call.attribute("padding_mode", "zeros"), aligned,
    )  # fmt: skip


RULES: dict[str, Rule] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Scatter": _scatter_elements,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Slice": _slice,
    "Range": _range,
    "ConstantOfShape": _filled,
    "OneHot": _one_hot,
    "EyeLike": _eye,
    "GridSample": _grid_sample,
}
