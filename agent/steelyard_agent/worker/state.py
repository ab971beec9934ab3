"""The state of a sequence model: from named outputs of one step to named inputs of the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.shapes import batch_names, shape_text

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array


def check_state_names(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], state_outputs: Mapping[str, str]
) -> None:
    """Refuse names that the model does not have, and types that differ.

    Raises:
        BlockFailure: USER_ERROR, naming what the model has.
    """
    taken, made = {spec.name: spec for spec in inputs}, {spec.name: spec for spec in outputs}
    for name, output in state_outputs.items():
        for one, known, kind in ((name, taken, "input"), (output, made, "output")):
            if one not in known:
                raise _refusal(
                    "no_such_state",
                    f"the state {name}={output} names the {kind} {one!r}, the model has {', '.join(known) or 'none'}",
                )
        if taken[name].dtype != made[output].dtype:
            raise _refusal(
                "state_misfit",
                f"output {output!r} is {made[output].dtype} and input {name!r} takes {taken[name].dtype}: the state "
                "cannot be carried; name other outputs",
            )


def fresh_state_shapes(
    inputs: Sequence[TensorSpec], states: Mapping[str, str], given: Mapping[str, tuple[int, ...]], batch_size: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every state input at the start of a sequence, by input name.

    A shape that is given counts. An open dimension has the size that its name has elsewhere: in a given shape, or the
    batch, where it is the first of another input. Any other open dimension begins at 0: a cache that grows is empty.
    """
    sizes = dict.fromkeys(batch_names([spec for spec in inputs if spec.name not in states]), batch_size)
    for spec in inputs:
        shape = given.get(spec.name, ())
        sizes |= {name: size for name, size in zip(spec.shape, shape, strict=False) if isinstance(name, str) and name}
    shapes = {}
    for spec in inputs:
        if spec.name in states:
            shapes[spec.name] = given.get(spec.name) or tuple(
                _size(size, sizes, batch_size if index == 0 else 0) for index, size in enumerate(spec.shape)
            )
    return shapes


def fresh_state(inputs: Sequence[TensorSpec], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return zeros for every state input."""
    return {spec.name: np.zeros(shapes[spec.name], spec.dtype) for spec in inputs if spec.name in shapes}


def carried(
    inputs: Mapping[str, TensorSpec], outputs: Mapping[str, Array], state_outputs: Mapping[str, str], step: int
) -> dict[str, Array]:
    """Return what the state inputs are fed with in the next step.

    Raises:
        BlockFailure: USER_ERROR when an output, which may have grown, does not fit its input.
    """
    state = {}
    for name, output in state_outputs.items():
        shape, wanted = outputs[output].shape, inputs[name].shape
        if len(shape) != len(wanted) or any(
            isinstance(size, int) and size != now for size, now in zip(wanted, shape, strict=True)
        ):
            raise _refusal(
                "state_misfit",
                f"after step {step} output {output!r} is {shape_text(shape)} and input {name!r} takes "
                f"{shape_text(wanted)}: the state cannot be carried; name another output, or export the input with "
                "that dimension open",
            )
        state[name] = outputs[output]
    return state


def _size(size: int | str, sizes: Mapping[str, int], otherwise: int) -> int:
    return size if isinstance(size, int) else sizes.get(size, otherwise)


def _refusal(reason: str, message: str) -> BlockFailure:
    return BlockFailure(BlockStatus.USER_ERROR, reason, message)
