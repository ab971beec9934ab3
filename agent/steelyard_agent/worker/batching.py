"""The batch of a timed block: samples in one inference, the leading dimension of every input."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.shapes import batch_names, shape_text

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array


def check_batch(inputs: Sequence[TensorSpec], given: Mapping[str, tuple[int, ...]], batch_size: int) -> None:
    """Refuse a batch that the model, or a shape that is given, does not have; 0 is no wish.

    Raises:
        BlockFailure: USER_ERROR, naming the input and what its first dimension is, or that no input has one.
    """
    if not batch_size:
        return
    if not any(spec.shape for spec in inputs):
        raise _refusal(
            "no_batch",
            f"a batch of {batch_size} was asked for, and no input of this model has a first dimension; leave it out",
        )
    names = batch_names(inputs)
    for spec in inputs:
        if not spec.shape or not names.isdisjoint(map(str, spec.shape[1:])):
            continue
        first = spec.shape[0]
        if isinstance(first, int) and first != batch_size:
            raise _refusal(
                "fixed_batch",
                f"input {spec.name!r} takes {shape_text(spec.shape)}: its first dimension is fixed, and a batch of "
                f"{batch_size} was asked for; export the model with a dynamic first dimension, or leave the batch out",
            )
        if (shape := given.get(spec.name)) and not isinstance(first, int) and shape[0] != batch_size:
            raise _refusal(
                "two_batches",
                f"--shape {spec.name}={shape_text(shape)} begins with {shape[0]} and a batch of {batch_size} was asked "
                "for; leave one of them out",
            )


def batch_of(feeds: Mapping[str, Array], batch_size: int, states: Collection[str] = ()) -> int:
    """Return the samples in one inference: the leading size that the inputs have in common, else what was asked for.

    Inputs that carry a state are not looked at: those of recurrent layers begin with the number of layers.
    """
    leading = {feed.shape[0] for name, feed in feeds.items() if feed.ndim and name not in states}
    return leading.pop() if len(leading) == 1 else batch_size or 1


def _refusal(reason: str, message: str) -> BlockFailure:
    return BlockFailure(BlockStatus.USER_ERROR, reason, message)
