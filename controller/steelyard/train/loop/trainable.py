"""A module that is trained, with the names of what it takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from steelyard.train.lift.lifted import LiftedModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainableModel:
    """``module`` takes the inputs in the order of ``input_names`` and returns one tensor, or one an output."""

    module: nn.Module
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    @classmethod
    def of(cls, lifted: LiftedModel) -> TrainableModel:
        """Return a lifted model as it is trained; the module is the same one."""
        return cls(module=lifted.module, input_names=lifted.input_names, output_names=lifted.output_names)

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs by name, in their order."""
        made: Any = self.module(*(inputs[name] for name in self.input_names))
        tensors = (made,) if len(self.output_names) == 1 and not isinstance(made, tuple | list) else tuple(made)
        return dict(zip(self.output_names, tensors, strict=True))
