"""Arithmetic on sizes. A size is a Python number or a list of them: what a traced program knows shapes by."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch

Size = Any
_Listed = list[Any]


def of_tensor(tensor: torch.Tensor, start: int = 0, end: int | None = None) -> _Listed:
    """Return the sizes of a tensor (opset 15 gave Shape a start and an end)."""
    return list(tensor.shape)[start:end]


def count_of(tensor: torch.Tensor) -> Size:
    """Return how many elements a tensor has."""
    return tensor.numel()


def read(tensor: torch.Tensor) -> Size:
    """Return the numbers of a computed tensor; a program that does so cannot be exported with open sizes."""
    return tensor.tolist()


def as_tensor(sizes: Size, like: torch.Tensor) -> torch.Tensor:
    """Return sizes as int64 (a fraction as float32) where ``like`` is."""
    listed = sizes if isinstance(sizes, list) else [sizes]
    dtype = torch.float32 if any(isinstance(one, float) for one in listed) else torch.int64
    if not listed:
        return torch.zeros(0, dtype=dtype, device=like.device)
    made = torch.stack([torch.scalar_tensor(one, dtype=dtype, device=like.device) for one in listed])
    return made if isinstance(sizes, list) else made[0]


def gather(sizes: _Listed, at: Size) -> Size:
    """Return one size, or some in a list."""
    return [sizes[one] for one in at] if isinstance(at, list) else sizes[at]


def listed(sizes: Size) -> _Listed:
    """Return a list: of the one size, or the list given."""
    return sizes if isinstance(sizes, list) else [sizes]


def single(sizes: Size) -> Size:
    """Return the one size of a list."""
    return sizes[0] if isinstance(sizes, list) else sizes


def joined(parts: Sequence[Size]) -> _Listed:
    """Return lists one after another."""
    return [one for part in parts for one in listed(part)]


def sliced(sizes: _Listed, start: int, end: int, step: int) -> _Listed:
    """Return a part of a list."""
    return sizes[start:end:step]


def product(sizes: Size) -> Size:
    """Return the product of all."""
    return math.prod(listed(sizes))


def total(sizes: Size) -> Size:
    """Return the sum of all."""
    return sum(listed(sizes))


def whole(sizes: Size) -> Size:
    """Return numbers cut to whole ones."""
    return [int(one) for one in sizes] if isinstance(sizes, list) else int(sizes)


def fraction(sizes: Size) -> Size:
    """Return numbers as fractions."""
    return [float(one) for one in sizes] if isinstance(sizes, list) else float(sizes)


def paired(name: str, left: Size, right: Size) -> Size:
    """Return what an operator of ONNX makes of each pair; one number goes with every number of a list."""
    function = _PAIRED[name]
    if not isinstance(left, list) and not isinstance(right, list):
        return function(left, right)
    lefts, rights = listed(left), listed(right)
    length = max(len(lefts), len(rights))
    lefts = lefts * length if len(lefts) == 1 else lefts
    rights = rights * length if len(rights) == 1 else rights
    return [function(one, other) for one, other in zip(lefts, rights, strict=True)]


def divided(left: Any, right: Any) -> Any:
    """Return a quotient: cut towards zero for whole numbers, as ONNX Div does."""
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    return left // right


_PAIRED: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": divided,
    "Mod": operator.mod,
    "Max": max,
    "Min": min,
    "Equal": operator.eq,
}
PAIRED = frozenset(_PAIRED)


def chosen(condition: Size, left: Size, right: Size) -> Size:
    """Return from ``left`` where the condition holds, from ``right`` elsewhere."""
    if not any(isinstance(one, list) for one in (condition, left, right)):
        return left if condition else right
    length = max(len(listed(one)) for one in (condition, left, right))
    spread = [listed(one) * length if len(listed(one)) == 1 else listed(one) for one in (condition, left, right)]
    return [yes if holds else no for holds, yes, no in zip(*spread, strict=True)]


def negated(sizes: Size) -> Size:
    """Return numbers with the other sign."""
    return [-one for one in sizes] if isinstance(sizes, list) else -sizes
