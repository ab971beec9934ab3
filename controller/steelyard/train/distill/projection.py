"""Bring what a student's layer gives to the form of its teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from torch import Tensor, nn


def make_projector(own: Tensor, wanted: Tensor, *, pair: tuple[str, str]) -> nn.Module:
    """Return a linear map from the width of one output to another's, the identity where they are the same.

    Maps [B, C, H, W] have their width on axis 1, sequences and vectors on the last.

    Raises:
        TrainingInputError: other_rank.
    """
    from torch import nn

    if own.dim() != wanted.dim() or own.dim() < 2:
        raise TrainingInputError(
            "other_rank",
            f"the student's layer {pair[0]!r} gives {list(own.shape)} and the teacher's {pair[1]!r} "
            f"{list(wanted.shape)}; pair layers that give outputs of one kind",
        )
    axis = 1 if own.dim() >= 4 else -1
    widths = int(own.shape[axis]), int(wanted.shape[axis])
    if widths[0] == widths[1]:
        return nn.Identity()
    kinds: dict[int, Any] = {4: nn.Conv2d, 5: nn.Conv3d}
    if own.dim() in kinds:
        return kinds[own.dim()](*widths, kernel_size=1)
    return nn.Linear(*widths)


def of_one_size(own: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return two maps averaged to the smaller of their sizes; others as they are."""
    from torch.nn import functional

    if own.dim() != 4 or own.shape[2:] == wanted.shape[2:]:
        return own, wanted
    size = tuple(min(pair) for pair in zip(own.shape[2:], wanted.shape[2:], strict=True))
    return functional.adaptive_avg_pool2d(own, size), functional.adaptive_avg_pool2d(wanted, size)
