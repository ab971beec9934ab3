"""The terms of distillation: soft labels, hints, attention. Tensors in, scalars that are means over the batch out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steelyard.train.loop.output_form import log_shares

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-8


def soft_labels(
    student: Tensor, teachers: Sequence[Tensor], *, forms: Sequence[str], axis: int, temperature: float
) -> Tensor:
    """Return T² KL(mean of the teachers' softened shares, the student's) (Hinton et al. 2015).

    ``forms`` say what the outputs hold, the student's first; ``axis`` is that of the classes.
    """
    import torch
    from torch.nn import functional

    own = functional.log_softmax(log_shares(student.float(), forms[0]) / temperature, dim=axis)
    shares = [
        functional.softmax(log_shares(one.float(), form) / temperature, dim=axis)
        for one, form in zip(teachers, forms[1:], strict=True)
    ]
    wanted = torch.stack(shares).mean(dim=0)
    divergence = (wanted * (wanted.clamp_min(_LEAST).log() - own)).sum(dim=axis)
    return temperature**2 * divergence.mean()


def soft_values(student: Tensor, teachers: Sequence[Tensor]) -> Tensor:
    """Return the mean square error to the teachers' mean, as a share of its variance: for outputs without classes."""
    import torch

    wanted = torch.stack([one.float() for one in teachers]).mean(dim=0)
    return relative_error(student.float(), wanted)


def relative_error(given: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean square error as a share of the variance of ``wanted``."""
    scale = wanted.detach().var(unbiased=False).clamp_min(_LEAST)
    return (given - wanted).square().mean() / scale


def attention_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the square distance of two normalized maps of attention, a mean over samples.

    A map is the mean square over channels, [B, C, H, W] to [B, H W] and [B, T, C] to [B, T] (Zagoruyko and Komodakis
    2017, F_sum with p = 2).
    """
    return (_attention(student) - _attention(teacher)).square().sum(dim=1).mean()


def _attention(given: Tensor) -> Tensor:
    from torch.nn import functional

    channel_axis = 1 if given.dim() >= 4 else -1
    return functional.normalize(given.float().square().mean(dim=channel_axis).flatten(1), dim=1)
