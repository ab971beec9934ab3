"""The terms of distillation: soft labels, hints, attention. Tensors in, scalars that are means over the batch out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steelyard.train.distill.projection import of_one_size
from steelyard.train.loop.output_form import log_shares

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-8
# Below this share of the mean square a variance is what float32 makes of equal numbers.
_NO_VARIANCE = 1e-12


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
    """Return the mean square error as a share of the variance of ``wanted``, in float32.

    Where all of it is one number (a batch of one sample with one output), it is a share of that number's square.
    """
    import torch

    wanted = wanted.detach().float()
    variance, size = wanted.var(unbiased=False), wanted.square().mean()
    scale = torch.where(variance > _NO_VARIANCE * size, variance, size)
    return (given.float() - wanted).square().mean() / scale.clamp_min(_LEAST)


def attention_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the square distance of two normalized maps of attention, a mean over samples.

    A map is the mean square over channels, [B, C, H, W] to [B, 1, H, W] and [B, T, C] to [B, T] (Zagoruyko and
    Komodakis 2017, F_sum with p = 2); of two sizes, both are averaged to the smaller.
    """
    own, wanted = of_one_size(_attention(student), _attention(teacher))
    return (_of_length_one(own) - _of_length_one(wanted)).square().sum(dim=1).mean()


def _attention(given: Tensor) -> Tensor:
    squares = given.float().square()
    return squares.mean(dim=1, keepdim=True) if given.dim() >= 4 else squares.mean(dim=-1)


def _of_length_one(given: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.normalize(given.flatten(1), dim=1)
