"""Hooks of a training that make weights zero, and keep them so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.train.loop.objective import TrainingHook
from steelyard.train.loop.trainable import TrainableModel
from steelyard.train.sparse.pattern import SparsityPattern
from steelyard.train.sparse.weights import SparseWeight

if TYPE_CHECKING:
    from torch import Tensor, nn

# Where no tensor has as many zeros, none were put there on purpose.
_LEAST_SHARE = 0.05


class GradualMasks(TrainingHook):
    """Makes more and more weights zero over the first ``grown`` of all updates, anew every ``every`` updates."""

    def __init__(self, weights: Sequence[SparseWeight], pattern: SparsityPattern, *, grown: float, every: int) -> None:
        """Mask nothing yet."""
        self._weights = list(weights)
        self._pattern = pattern
        self._grown = grown
        self._every = every
        self._masks: dict[str, Tensor] = {}

    def first_kept_epoch(self, epoch_count: int) -> int:
        """Return the first epoch at whose end the sparsity is the final one."""
        return math.ceil(self._grown * epoch_count)

    def after_update(self, model: TrainableModel, update: int, update_count: int) -> None:
        """Choose masks where it is their turn, and apply them."""
        del model
        last = max(0, math.floor(self._grown * update_count) - 1)
        if update <= last and (update % self._every == 0 or update == last):
            self._choose(update / last if last else 1.0)
        self._apply()

    def finish(self, model: TrainableModel) -> str:
        """Make the zeros that are missing, with no training behind them."""
        del model
        self._choose(1.0)
        self._apply()
        return "the zeros that were missing then were made at once, without training behind them: give it more time"

    def state(self) -> dict[str, Any]:
        """Return the masks by the names of the weights."""
        return {name: mask.cpu() for name, mask in self._masks.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with these masks."""
        devices = {one.name: one.values.device for one in self._weights}
        self._masks = {name: mask.to(devices[name]) for name, mask in state.items()}

    def _choose(self, progress: float) -> None:
        masks = self._pattern.masks([one.outputs_first() for one in self._weights], progress)
        self._masks = {one.name: one.as_stored(mask) for one, mask in zip(self._weights, masks, strict=True)}

    def _apply(self) -> None:
        import torch

        with torch.no_grad():
            for one in self._weights:
                if one.name in self._masks:
                    one.values.mul_(self._masks[one.name])


class HeldZeros(TrainingHook):
    """Keeps the zeros that a sparse model came with: training goes on with the other weights alone."""

    def __init__(self, module: nn.Module) -> None:
        """Find the weights that have zeros; a ranking of all weights together gives some tensors a few of them."""
        found = {name: one.detach() for name, one in module.named_parameters() if one.dim() > 1}
        shares = {name: float((one == 0).float().mean()) for name, one in found.items()}
        # A tensor of zeros alone, a head that begins so, tells nothing by itself.
        is_sparse = any(_LEAST_SHARE <= share < 1 for share in shares.values())
        self._masks = {name: found[name] != 0 for name, share in shares.items() if is_sparse and share > 0}

    @property
    def names(self) -> tuple[str, ...]:
        """The weights whose zeros are held."""
        return tuple(self._masks)

    def after_update(self, model: TrainableModel, update: int, update_count: int) -> None:
        """Make zero again what moved."""
        import torch

        del update, update_count
        parameters = dict(model.module.named_parameters())
        with torch.no_grad():
            for name, mask in self._masks.items():
                parameters[name].mul_(mask.to(parameters[name].device))
