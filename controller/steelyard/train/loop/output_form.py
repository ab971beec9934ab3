"""What an output of a classifier holds: scores of any size, or shares that a softmax or a sigmoid made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LOGITS = "logits"
PROBABILITIES = "probabilities"
LOG_PROBABILITIES = "log-probabilities"
# Of sums over classes; float32's own error is some 1e-7 a class.
_SUM_TOLERANCE = 1e-3
_LEAST_SHARE = 1e-12


def form_of_output(given: Tensor, axis: int) -> str:
    """Return what an output [N, ...] holds, by its values: shares of classes along ``axis`` add up to 1.

    An output with one value along the axis holds probabilities where all of them lie from 0 to 1.
    """
    values = given.detach().float()
    is_share = bool(((values >= 0) & (values <= 1)).all())
    if values.dim() < 2 or values.shape[axis] == 1:
        return PROBABILITIES if is_share else LOGITS
    if is_share and _adds_up(values, axis):
        return PROBABILITIES
    is_log = bool((values <= _SUM_TOLERANCE).all())
    return LOG_PROBABILITIES if is_log and _adds_up(values.exp(), axis) else LOGITS


def log_shares(given: Tensor, form: str) -> Tensor:
    """Return scores whose softmax are the shares of classes: logits as they are, probabilities as logarithms."""
    return given.clamp_min(_LEAST_SHARE).log() if form == PROBABILITIES else given


def _adds_up(values: Tensor, axis: int) -> bool:
    return bool(((values.sum(dim=axis) - 1).abs() <= _SUM_TOLERANCE).all())
