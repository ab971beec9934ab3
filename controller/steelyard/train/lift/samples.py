"""Inputs that a model is run with while it is lifted, and what its signature fixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import SteelyardError
from steelyard.numeric.drawing import draw_feeds, resolved_shapes
from steelyard.train.errors import LiftError
from steelyard.train.export.example import bounded
from steelyard.train.lift.source import Source
from steelyard_protocol.v1 import common_pb2

# No axis but the batch is of this size by accident, mostly.
_BATCH = 3
_SEED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Drawn inputs. ``batch`` is theirs; ``fixed_batch`` is the file's, None where that is open.

    ``below`` bounds their whole numbers; 0: as drawing has it.
    """

    feed: Mapping[str, NDArray[Any]]
    batch: int
    fixed_batch: int | None
    has_open_sizes: bool
    below: int = 0


def draw_samples(
    source: Source,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    batch: int = _BATCH,
    keep_batch: bool = False,
    below: int = 0,
) -> Samples:
    """Return inputs of the shapes given; a batch that the file fixes is drawn as another, which the module takes too.

    With ``keep_batch`` the file's stays, for modules that take no other.

    Raises:
        LiftError: no_such_input; not_drawable: an input of texts, or an open size that none is given for.
    """
    inputs = list(source.signature.inputs)
    if unknown := sorted(set(shapes) - {one.name for one in inputs}):
        raise LiftError(
            "no_such_input",
            f"there is no input {unknown[0]!r} to give a shape; there are {', '.join(one.name for one in inputs)}",
        )
    open_axes = [one for spec in inputs for one in spec.dimensions[1:] if not one.HasField("size")]
    given = dict(shapes) or {spec.name: _filled(spec, batch) for spec in inputs if _is_open_inside(spec)}
    try:
        resolved = resolved_shapes(inputs, given, batch)
        fixed = None if keep_batch else _fixed_batch(inputs)
        if fixed is not None:
            resolved = {name: (batch, *shape[1:]) for name, shape in resolved.items()}
        feed = draw_feeds(inputs, resolved, seed=_SEED, count=1)[0]
    except SteelyardError as error:
        raise LiftError("not_drawable", f"the model cannot be run to look at it: {error}") from error
    feed = {name: bounded(values, below) for name, values in feed.items()}
    return Samples(feed=feed, batch=batch, fixed_batch=fixed, has_open_sizes=bool(open_axes), below=below)


def with_batch_of_file(samples: Samples) -> Samples:
    """Return the samples as the file takes them: its fixed batch of them."""
    if samples.fixed_batch is None:
        return samples
    count = samples.fixed_batch
    feed = {name: np.resize(values, (count, *values.shape[1:])) for name, values in samples.feed.items()}
    return replace(samples, feed=feed, batch=count)


def _fixed_batch(inputs: list[common_pb2.TensorSpec]) -> int | None:
    """Return the first size that all inputs fix, None where one leaves it open or they differ."""
    firsts = {
        int(one.dimensions[0].size) if one.dimensions[0].HasField("size") else None for one in inputs if one.dimensions
    }
    only = firsts.pop() if len(firsts) == 1 else None
    return only if all(one.dimensions for one in inputs) else None


def _is_open_inside(spec: common_pb2.TensorSpec) -> bool:
    return any(not one.HasField("size") for one in spec.dimensions[1:])


def _filled(spec: common_pb2.TensorSpec, batch: int) -> tuple[int, ...]:
    """Return a shape for an input with open axes: 64 for each; of names alike alike."""
    return tuple(
        int(one.size) if one.HasField("size") else (batch if at == 0 else 64) for at, one in enumerate(spec.dimensions)
    )
