"""Whether the truth of samples is one that a loss can hold an output against; told before a training begins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.data import TrainingData
from steelyard.train.loop.losses import BINARY, CROSS_ENTROPY, READS, LabelLoss

if TYPE_CHECKING:
    from torch import Tensor


def refuse_misfit(loss: LabelLoss, output: Tensor, data: TrainingData) -> None:
    """Refuse truth of a kind, of a size or of classes that an output [N, ...] has no place for.

    Raises:
        TrainingInputError: no_loss, output_misfit, label_out_of_range.
    """
    name = next((one for one in READS[loss.name] if one in data.truth), "")
    if not name:
        raise TrainingInputError(
            "no_loss",
            f"loss {loss.name} reads {' or '.join(READS[loss.name])}, and the {data.split} samples have "
            f"{', '.join(data.truth)}; choose another loss",
        )
    truth = data.all_truth()[name]
    _refuse_other_sizes(loss, output, truth, f"{data.split} {name}")
    if loss.name == CROSS_ENTROPY:
        classes = int(output.shape[loss.class_axis])
        _refuse_other_classes(loss, truth[truth != loss.ignored_label], classes, data.split)
    elif loss.name == BINARY:
        _refuse_other_classes(loss, truth, 2, data.split)


def _refuse_other_sizes(loss: LabelLoss, output: Tensor, truth: NDArray[Any], what: str) -> None:
    if loss.name == CROSS_ENTROPY:
        wanted = tuple(size for axis, size in enumerate(output.shape) if axis not in (0, loss.class_axis))
        fits = tuple(truth.shape[1:]) == wanted
    else:
        fits = math.prod(truth.shape[1:]) == math.prod(output.shape[1:])
    if not fits:
        raise TrainingInputError(
            "output_misfit",
            f"the output {loss.output!r} is {_sizes(output.shape)} and the {what} are {_sizes(truth.shape)}, which "
            f"{loss.name} cannot hold against each other; correct the truth, or choose another loss or output",
        )


def _refuse_other_classes(loss: LabelLoss, truth: NDArray[Any], classes: int, split: str) -> None:
    if not truth.size:
        return
    least, most = float(np.min(truth)), float(np.max(truth))
    if least < 0 or (most > 1 if loss.name == BINARY else most >= classes):
        raise TrainingInputError(
            "label_out_of_range",
            f"a {split} sample has the class {most if most > 0 else least:g}, and the output {loss.output!r} has "
            f"{'one score, for 0 and 1' if loss.name == BINARY else f'{classes} scores, for 0 to {classes - 1}'}; "
            "correct the labels, or give a model with a score for each class",
        )


def _sizes(shape: Any) -> str:
    return f"[{', '.join(['N', *(str(size) for size in shape[1:])])}]"
