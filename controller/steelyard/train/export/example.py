"""What a module is exported with: example inputs, and which of their axes stay open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.numeric.drawing import draw_feeds
from steelyard.train.lift.lifted import TensorForm
from steelyard.train.parity import Arrays
from steelyard_protocol.v1 import common_pb2

if TYPE_CHECKING:
    from steelyard.train.lift.lifted import LiftedModel

BATCH = "batch"
# Whole numbers are drawn from 0 to 9; where that is beyond a table (weekdays, yes and no), these are in every one.
FEW = 2
# Two modules, or a module and its file, that give the same for these do so for any batch.
BATCHES = (1, 2, 5)
_SEED = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Names and forms of what a module takes and gives, in its order; see ``TensorForm``.

    ``open_batch`` says that the first axis of every input is the batch and may have any size.
    """

    inputs: tuple[TensorForm, ...]
    output_names: tuple[str, ...]
    open_batch: bool = True

    def __post_init__(self) -> None:
        """Refuse a module without inputs or outputs."""
        if not self.inputs or not self.output_names:
            raise ValueError(f"{len(self.inputs)} inputs and {len(self.output_names)} outputs are no model")

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(one.name for one in self.inputs)

    def open_axes(self) -> tuple[dict[int, str], ...]:
        """Return by input which axes are open, with their names ("" for one without)."""
        return tuple(
            {
                axis: _symbol(size) or (BATCH if axis == 0 and self.open_batch else "")
                for axis, size in enumerate(one.shape)
                if not isinstance(size, int) or (axis == 0 and self.open_batch)
            }
            for one in self.inputs
        )


def _symbol(size: int | str | None) -> str:
    """Return the name of an open axis; "?" and the like, which exporters write, name nothing."""
    return size if isinstance(size, str) and re.fullmatch(r"[A-Za-z_]\w*", size) else ""


def interface_of(lifted: LiftedModel) -> Interface:
    """Return the interface of a lifted model; the batch is open where every input has one."""
    opened = lifted.fixed_batch is not None and lifted.takes_any_batch
    has_batch = opened or all(one.shape and not isinstance(one.shape[0], int) for one in lifted.inputs)
    return Interface(inputs=lifted.inputs, output_names=lifted.output_names, open_batch=has_batch)


def example_feed(interface: Interface, *, batch: int | None = None) -> dict[str, NDArray[Any]]:
    """Return drawn inputs in the sample shapes, or with another batch."""
    shapes = {
        one.name: one.sample_shape if batch is None or not interface.open_batch else (batch, *one.sample_shape[1:])
        for one in interface.inputs
    }
    specs = [common_pb2.TensorSpec(name=one.name, dtype=one.dtype) for one in interface.inputs]
    feed = draw_feeds(specs, shapes, seed=_SEED, count=1)[0]
    return {one.name: bounded(feed[one.name], one.below) for one in interface.inputs}


def bounded(values: NDArray[Any], below: int) -> NDArray[Any]:
    """Return drawn whole numbers below a bound (0: none), anything else as it is."""
    return (values % below).astype(values.dtype) if below and values.dtype.kind in "iu" else values


def as_arguments(interface: Interface, feed: Arrays) -> tuple[Any, ...]:
    """Return a feed as tensors in the module's order."""
    import torch

    return tuple(torch.from_numpy(np.asarray(feed[name])) for name in interface.input_names)
