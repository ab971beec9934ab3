"""The contracts of what a training minimises, and of what looks in while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from steelyard.train.loop.trainable import TrainableModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mix:
    """Each sample was mixed with another: ``truth`` is the other's, ``share`` what is left of its own, 0 to 1."""

    truth: Mapping[str, Tensor]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Samples [B, ...] by input name and their truth by array name, on the device of the training.

    ``truth`` is empty where samples have none. ``mix`` is None where samples are whole. ``places`` [B] are those of the
    samples in the training data where they are as they are there, None where they were changed.
    """

    inputs: Mapping[str, Tensor]
    truth: Mapping[str, Tensor]
    mix: Mix | None = None
    places: NDArray[np.int64] | None = None

    @property
    def size(self) -> int:
        """How many samples there are."""
        return int(next(iter(self.inputs.values())).shape[0])


class Objective(Protocol):
    """What a training minimises."""

    @property
    def extra(self) -> nn.Module | None:
        """Parameters that are trained beside the model's (projectors of hints), None for none; not exported."""
        ...

    def terms(self, model: TrainableModel, batch: Batch) -> Mapping[str, Tensor]:
        """Run the model and return terms by name, scalars that are means over the batch; their sum is minimised."""
        ...


class TrainingHook:
    """Looks in while a training goes on (masks of sparsity, observers of quantization); does nothing by itself.

    Checkpoints keep ``state``: what cannot be told from the module's own parameters and buffers.
    """

    # Models are kept from the end of this epoch on (0: also as it was before the first); an earlier one would lack what
    # the hook does.
    def first_kept_epoch(self, epoch_count: int) -> int:
        """Return the number of epochs after which the model may be kept as the best, 0 to ``epoch_count``."""
        del epoch_count
        return 0

    def before_epoch(self, model: TrainableModel, epoch: int, epoch_count: int) -> None:
        """Prepare for an epoch, counted from 0."""

    def after_update(self, model: TrainableModel, update: int, update_count: int) -> None:
        """Follow an update of the parameters, counted from 0; ``update_count`` are those of all epochs."""

    def finish(self, model: TrainableModel) -> str:
        """Do at once what is left, where a training ended before ``first_kept_epoch``, and return what was done."""
        del model
        return ""

    def state(self) -> dict[str, Any]:
        """Return numbers, texts and tensors that ``load_state`` takes back."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``, the model being as it was then."""
