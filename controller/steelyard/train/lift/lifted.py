"""What the lifter returns: the module and what it takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorForm:
    """An input or output: ``dtype`` as numpy names it, ``shape`` with None or a name for an open dimension.

    ``sample_shape`` is a shape that the model was run with. ``below`` bounds what is drawn for whole numbers that pick
    rows of a small table; 0: none.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]
    sample_shape: tuple[int, ...]
    below: int = 0

    def __post_init__(self) -> None:
        """Refuse a form whose shapes have different ranks."""
        if len(self.shape) != len(self.sample_shape):
            raise ValueError(f"{self.name!r} has the shape {self.shape}, and was run with {self.sample_shape}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftedModel:
    """A model as a trainable module.

    ``module`` (a ``torch.fx.GraphModule``, float, in evaluation mode) takes the inputs in the order of ``inputs`` and
    returns one tensor, or a tuple in the order of ``outputs``. Its direct children are the layers. ``layers`` maps the
    name of each to the name of the ONNX node that it came from. ``fixed_batch`` is the batch that the file fixes, None
    where it is open. The module takes any batch either way, unless ``takes_any_batch`` is false: then the graph counts
    on the file's (it folds the batch into another axis, mostly).
    """

    module: Any
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]
    layers: Mapping[str, str]
    opset: int
    fixed_batch: int | None = None
    takes_any_batch: bool = True

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in the order of the module's arguments."""
        return tuple(one.name for one in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, in the order of the module's results."""
        return tuple(one.name for one in self.outputs)
