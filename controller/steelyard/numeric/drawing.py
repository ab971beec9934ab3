"""Inputs drawn by signature, as an agent draws what it times: the same seed gives the same first inputs there and here.

The rules are those of ``steelyard_agent.worker.drawing`` and ``shapes``; agent and controller import nothing of each
other, so they stand twice, and a test compares what both draw.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.numeric.errors import NotCheckableError
from steelyard_protocol.v1 import common_pb2

Feed = dict[str, NDArray[Any]]

_MASK = re.compile(r"(^|[^a-z])(mask|attention)")
_STATE = re.compile(r"(^|[^a-z])(state|hidden|cell|cache|past|h0|c0|hx|cx|type)s?([^a-z]|$)|token_type|past_key")
_POSITION = re.compile(r"position")
_INDEX_END = 10
_WHOLE_RANGES = {"bool": (0, 2), "uint8": (0, 256), "int8": (-128, 128)}


def draw_feeds(
    inputs: Sequence[common_pb2.TensorSpec],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    seed: int,
    count: int,
    zeros: Collection[str] = (),
) -> list[Feed]:
    """Return ``count`` sets of inputs, the same for the same seed; ``zeros`` names inputs that are a fresh state.

    Raises:
        NotCheckableError: a type that nothing can be drawn for.
    """
    generator = np.random.default_rng(seed)
    return [{one.name: _draw(one, shapes[one.name], generator, zeros) for one in inputs} for _ in range(count)]


def resolved_shapes(
    inputs: Sequence[common_pb2.TensorSpec], given: Mapping[str, tuple[int, ...]], batch_size: int
) -> dict[str, tuple[int, ...]]:
    """Return a size for every dimension of every input: as given, an open first one the batch, also by its name.

    Raises:
        NotCheckableError: another open dimension without a size.
    """
    sizes = {
        one.dimensions[0].symbol: batch_size
        for one in inputs
        if one.dimensions and not one.dimensions[0].HasField("size") and one.dimensions[0].symbol
    }
    for one in inputs:
        named = zip(one.dimensions, given.get(one.name, ()), strict=False)
        sizes |= {dimension.symbol: size for dimension, size in named if dimension.symbol}
    return {one.name: given.get(one.name) or _resolved(one, sizes, batch_size) for one in inputs}


def _resolved(spec: common_pb2.TensorSpec, sizes: Mapping[str, int], batch_size: int) -> tuple[int, ...]:
    resolved = []
    for index, dimension in enumerate(spec.dimensions):
        if dimension.HasField("size"):
            resolved.append(int(dimension.size))
        elif dimension.symbol in sizes:
            resolved.append(sizes[dimension.symbol])
        elif index == 0:
            resolved.append(batch_size)
        else:
            raise NotCheckableError(f"input {spec.name!r} has an open dimension {index} without a size; give --shape")
    return tuple(resolved)


def _draw(
    spec: common_pb2.TensorSpec, shape: tuple[int, ...], generator: np.random.Generator, zeros: Collection[str]
) -> NDArray[Any]:
    dtype = _drawable(spec)
    name = spec.name.lower()
    if spec.name in zeros or (_STATE.search(name) and not _MASK.search(name)):
        return np.zeros(shape, dtype)
    if _MASK.search(name):
        return np.ones(shape, dtype)
    if dtype.kind == "f":
        return generator.standard_normal(shape, dtype=np.float32).astype(dtype)
    if dtype.kind in "iu" and shape and _POSITION.search(name):
        return np.broadcast_to(np.arange(shape[-1]), shape).astype(dtype)
    low, end = _WHOLE_RANGES.get(dtype.name, (0, _INDEX_END))
    return generator.integers(low, end, shape).astype(dtype)


def _drawable(spec: common_pb2.TensorSpec) -> np.dtype[Any]:
    try:
        dtype = np.dtype(spec.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise NotCheckableError(f"input {spec.name!r} has type {spec.dtype}, which cannot be drawn; give a task")
    return dtype
