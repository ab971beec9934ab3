"""A module that is trained, with the names of what it takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.errors import first_line
from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from steelyard.train.lift.lifted import LiftedModel

# What torch says of an index that a table does not have, and of BatchNorm on a batch of one.
_BEYOND_A_TABLE = ("index out of range", "is out of bounds for dimension")
_ONE_VALUE = "Expected more than 1 value per channel when training"


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
        """Return the outputs by name, in their order.

        Raises:
            TrainingInputError: sample_out_of_range or batch_of_one.
        """
        with _misfits_told(inputs):
            made: Any = self.module(*(inputs[name] for name in self.input_names))
        tensors = (made,) if len(self.output_names) == 1 and not isinstance(made, tuple | list) else tuple(made)
        return dict(zip(self.output_names, tensors, strict=True))


@contextmanager
def _misfits_told(inputs: Mapping[str, Tensor]) -> Iterator[None]:
    """Turn what torch says of samples that a model cannot take into sentences."""
    try:
        yield
    except (IndexError, ValueError, RuntimeError) as error:
        told = str(error)
        if any(sign in told for sign in _BEYOND_A_TABLE):
            held = [
                f"{name} from {int(one.min())} to {int(one.max())}"
                for name, one in inputs.items()
                if not one.is_floating_point() and one.numel()
            ]
            raise TrainingInputError(
                "sample_out_of_range",
                f"samples hold numbers that the model has no row for, ids beyond its vocabulary, say "
                f"({first_line(error)}; a batch has {', '.join(held) or 'no ids'}); correct the samples, or give a "
                "model for them",
            ) from error
        if _ONE_VALUE in told:
            raise TrainingInputError(
                "batch_of_one",
                "BatchNorm cannot learn from one value a channel, and a batch has one sample; write batch_size = 2 or "
                "more, and give as many samples to learn from",
            ) from error
        raise
