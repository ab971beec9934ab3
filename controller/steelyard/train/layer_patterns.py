"""Patterns of settings that name layers: a layer is called by its own name or by that of its ONNX node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel

_SHOWN = 12


def layer_names(lifted: LiftedModel) -> dict[str, str]:
    """Return the name of the ONNX node of each module by its own name; its own where it has none."""
    return {name: lifted.layers.get(name, name) for name, _ in lifted.module.named_modules() if name}


def layers_matching(layers: Mapping[str, str], patterns: Sequence[str], *, setting: str) -> frozenset[str]:
    """Return the names of the layers that a pattern matches; ``layers`` maps names to those of ONNX nodes.

    Raises:
        TrainingInputError: unknown_layer: a pattern of ``setting`` ("prune: keep") matches none.
    """
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name, node in layers.items() if fnmatchcase(node, pattern) or fnmatchcase(name, pattern)}
        if not matched:
            names = list(layers.values())
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise TrainingInputError(
                "unknown_layer",
                f"{setting} has {pattern!r}, which matches no layer; there are {', '.join(names[:_SHOWN])}{more}",
            )
        found |= matched
    return frozenset(found)
