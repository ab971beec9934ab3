"""Which elements of a value stand where behind operations that only move and scale them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import fx

Values = Mapping["fx.Node", Any]
_TOLERANCE = 1e-3
# Further than this from a whole number is none.
_NEAR = 0.25
# Numbers up to here are told apart where they pass through float32.
_MOST_ELEMENTS = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """``places`` are flat indices into what was moved, in the shape that it was moved to; ``scale`` multiplied all."""

    places: NDArray[np.int64]
    scale: float


def is_data(value: Any) -> bool:
    """Return whether a value is a floating-point tensor, or several: no size, index or single number."""
    import torch

    parts = value if isinstance(value, tuple | list) else (value,)
    return any(isinstance(one, torch.Tensor) and one.is_floating_point() and one.numel() > 1 for one in parts)


def path_back(end: fx.Node, values: Values) -> list[fx.Node]:
    """Return the nodes from a layer to ``end``, each the only one whose data the next is given; [] for no such way."""
    path = [end]
    while path[0].op == "call_function":
        given = [one for one in path[0].all_input_nodes if one.op != "get_attr" and is_data(values[one])]
        if len(given) != 1:
            return []
        path.insert(0, given[0])
    return path if path[0].op == "call_module" else []


def path_on(begin: fx.Node, values: Values) -> list[fx.Node]:
    """Return the nodes from ``begin`` to a layer, each the only one that reads the last's data; [] for no such way."""
    path = [begin]
    while path[-1].op == "call_function":
        readers = [one for one in path[-1].users if one.op == "output" or is_data(values[one])]
        if len(readers) != 1:
            return []
        path += readers
    return path if path[-1].op == "call_module" else []


def moved(path: Sequence[fx.Node], values: Values) -> Moved | None:
    """Return where the nodes behind the first of ``path`` put its elements, None where they do more than that.

    They are run on ones, which gives the scale, and on whole numbers of both signs, which tell each other apart.
    """
    import torch

    shape = values[path[0]].shape
    if not 0 < shape.numel() <= _MOST_ELEMENTS:
        return None
    scales = _run(path, values, torch.ones(shape, dtype=torch.float64))
    scale = float(scales.flatten()[0])
    if not np.isfinite(scale) or scale == 0 or bool((scales - scale).abs().max() > _TOLERANCE * abs(scale)):
        return None
    marks = torch.arange(1, shape.numel() + 1, dtype=torch.float64)
    marks[::2] *= -1
    found = _run(path, values, marks.reshape(shape)) / scale
    nearest = found.round()
    places = (nearest.abs().long() - 1).clamp(0, len(marks) - 1)
    if bool((nearest != marks[places]).any()) or bool((found - nearest).abs().max() > _NEAR):
        return None
    return Moved(places=places.numpy(), scale=scale)


def _run(path: Sequence[fx.Node], values: Values, begin: Any) -> Any:
    import torch
    from torch import fx

    own = {path[0]: begin}
    with torch.no_grad():
        for node in path[1:]:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda one: own.get(one, values[one]))
            own[node] = node.target(*args, **kwargs)
    return own[path[-1]]
