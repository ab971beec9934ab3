"""A model that looks at smaller pictures: a resize in front of its first layer; what it takes stays the same."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

from steelyard.errors import first_line
from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel, TensorForm

_PICTURE_AXES = 4


def with_smaller_input(lifted: LiftedModel, share: float) -> tuple[LiftedModel, str]:
    """Return a copy that resizes its pictures [N, C, H, W] to ``share`` of their sides first, and what was done.

    Raises:
        TrainingInputError: no_picture: the model takes none of a fixed size; size_same: they are too small to be
            resized; size_fixed: its layers count on the size.
    """
    import torch
    from torch.nn import functional

    picture = _picture(lifted)
    whole_sides = list(picture.sample_shape[2:])
    sides = [max(1, round(share * side)) for side in whole_sides]
    if sides == whole_sides:
        raise TrainingInputError(
            "size_same",
            f"scale = {share:g} leaves pictures of {'x'.join(map(str, sides))} as they are; write a smaller one",
        )
    module = copy.deepcopy(lifted.module)
    place = list(lifted.input_names).index(picture.name)
    given = [node for node in module.graph.nodes if node.op == "placeholder"][place]
    readers = list(given.users)
    with module.graph.inserting_after(given):
        resized = module.graph.call_function(
            functional.interpolate, (given,), {"size": sides, "mode": "bilinear", "align_corners": False}
        )
    for reader in readers:
        reader.replace_input_with(given, resized)
    module.recompile()
    made = dataclasses.replace(lifted, module=module.eval())
    samples = [torch.zeros(one.sample_shape, dtype=getattr(torch, one.dtype)) for one in lifted.inputs]
    try:
        with torch.no_grad():
            smaller: Any = module(*samples)
    except (RuntimeError, ValueError) as error:
        raise _fixed(picture, sides, first_line(error)) from error
    with torch.no_grad():
        whole: Any = lifted.module(*samples)
    if _shapes(smaller) != _shapes(whole):
        raise _fixed(picture, sides, f"outputs {_shapes(smaller)} in place of {_shapes(whole)}")
    before = "x".join(map(str, picture.sample_shape[2:]))
    return made, f"pictures of {before} are resized to {'x'.join(map(str, sides))} inside of the model"


def _picture(lifted: LiftedModel) -> TensorForm:
    found = [
        one
        for one in lifted.inputs
        if len(one.shape) == _PICTURE_AXES
        and one.dtype == "float32"
        and all(isinstance(side, int) for side in one.shape[2:])
    ]
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        raise TrainingInputError(
            "no_picture",
            "resize-input needs one input that is a float32 picture [N, C, H, W] of a fixed size, and the model has "
            f"{names}; leave the step out",
        )
    return found[0]


def _shapes(outputs: Any) -> list[tuple[int, ...]]:
    return [tuple(one.shape) for one in (outputs if isinstance(outputs, tuple | list) else (outputs,))]


def _fixed(picture: TensorForm, sides: list[int], why: str) -> TrainingInputError:
    return TrainingInputError(
        "size_fixed",
        f"the layers of the model count on {picture.name} of {picture.sample_shape[2]}x{picture.sample_shape[3]} and "
        f"do not take {sides[0]}x{sides[1]} ({why}); a model that pools over all places before its last layer does",
    )
