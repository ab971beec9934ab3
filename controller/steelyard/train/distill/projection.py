"""Bring what a student's layer gives to the form of its teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.train.errors import TrainingInputError

if TYPE_CHECKING:
    from torch import Tensor, nn


def refuse_other_kind(own: Tensor | None, wanted: Tensor | None, *, pair: tuple[str, str]) -> None:
    """Refuse to compare a map with a sequence or a vector, or sequences of two lengths.

    Raises:
        TrainingInputError: other_rank.
    """
    if own is not None and wanted is not None and _is_alike(own, wanted):
        return
    told = ["no tensor alone" if one is None else str(list(one.shape)) for one in (own, wanted)]
    raise TrainingInputError(
        "other_rank",
        f"the student's layer {pair[0]!r} gives {told[0]} and the teacher's {pair[1]!r} {told[1]}; pair layers that "
        "give outputs of one kind",
    )


def refuse_vector(own: Tensor, *, pair: tuple[str, str]) -> None:
    """Refuse a layer without places that attention could be paid to.

    Raises:
        TrainingInputError: no_places.
    """
    if own.dim() < 3:
        raise TrainingInputError(
            "no_places",
            f"attention has the layer {pair[0]!r}, which gives {list(own.shape)}, no map or sequence; name layers that "
            "give one, or take it as a hint",
        )


def make_projector(own: Tensor, wanted: Tensor) -> nn.Module:
    """Return a linear map from the width of one output to another's, the identity where they are the same.

    Maps [B, C, H, W] have their width on axis 1, sequences and vectors on the last.
    """
    from torch import nn

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

    pools = {4: functional.adaptive_avg_pool2d, 5: functional.adaptive_avg_pool3d}
    if own.dim() not in pools or own.shape[2:] == wanted.shape[2:]:
        return own, wanted
    size = tuple(min(pair) for pair in zip(own.shape[2:], wanted.shape[2:], strict=True))
    pool = pools[own.dim()]
    return pool(own, size), pool(wanted, size)


def _is_alike(own: Tensor, wanted: Tensor) -> bool:
    return bool(own.dim() == wanted.dim() >= 2 and (own.dim() != 3 or own.shape[1] == wanted.shape[1]))
