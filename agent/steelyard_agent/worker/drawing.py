"""Inputs drawn by signature: what to feed a model of which only the input names, types and shapes are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

# By a word of the input's name, as exporters of transformers and recurrent models write them.
_MASK = re.compile(r"(^|[^a-z])(mask|attention)")
_STATE = re.compile(r"(^|[^a-z])(state|hidden|cell|cache|past|h0|c0|hx|cx|type)s?([^a-z]|$)|token_type|past_key")
_POSITION = re.compile(r"position")

# Whole numbers wider than a byte are mostly indices into an embedding whose size the signature does not tell: small
# ones are in range nearly everywhere.
_INDEX_END = 10
_WHOLE_RANGES = {"bool": (0, 2), "uint8": (0, 256), "int8": (-128, 128)}


def draw_inputs(inputs: Sequence[TensorSpec], shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Array]:
    """Return one array per input, the same for the same seed.

    Floats are standard normal, bytes span their whole range, wider whole numbers lie in [0, 10), masks are ones, states
    and token types are zeros, positions count up along the last axis, booleans are drawn.

    Raises:
        BlockFailure: UNSUPPORTED for a type that nothing can be drawn for.
    """
    generator = np.random.default_rng(seed)
    return {spec.name: _draw(spec, shapes[spec.name], generator) for spec in inputs}


def _draw(spec: TensorSpec, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    dtype = _drawable(spec)
    name = spec.name.lower()
    if _MASK.search(name):
        return np.ones(shape, dtype)
    if _STATE.search(name):
        return np.zeros(shape, dtype)
    if dtype.kind == "f":
        return generator.standard_normal(shape, dtype=np.float32).astype(dtype)
    if dtype.kind in "iu" and shape and _POSITION.search(name):
        return np.broadcast_to(np.arange(shape[-1]), shape).astype(dtype)
    low, end = _WHOLE_RANGES.get(dtype.name, (0, _INDEX_END))
    return generator.integers(low, end, shape).astype(dtype)


def _drawable(spec: TensorSpec) -> np.dtype[np.generic]:
    try:
        dtype = np.dtype(spec.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise BlockFailure(
            BlockStatus.UNSUPPORTED,
            "input_type",
            f"input {spec.name!r} has type {spec.dtype}, which cannot be drawn; measure with task data instead",
        )
    return dtype
