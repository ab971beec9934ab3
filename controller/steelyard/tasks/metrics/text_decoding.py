"""Texts from the class of each step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError


def decoded_texts(
    classes: NDArray[np.int64], alphabet: tuple[str, ...], *, blank: int, joins_repeats: bool
) -> list[str]:
    """Return the text of each sample.

    Args:
        classes: int64 [N, T]; -1, scores that were all NaN, is taken for a blank.
        alphabet: the symbols of all classes but the blank, in order.
        blank: the class of the blank, from 0 to the number of symbols.
        joins_repeats: whether a class that follows itself is one symbol (CTC).

    Raises:
        TaskError: invalid_outputs for a class that is neither a symbol nor the blank.
    """
    if classes.size and not -1 <= int(classes.min()) <= int(classes.max()) <= len(alphabet):
        raise TaskError(
            "invalid_outputs",
            f"the model answers class {classes.max() if classes.max() > len(alphabet) else classes.min()} and the "
            f"alphabet has {len(alphabet)} symbols and a blank, classes 0 to {len(alphabet)}; complete the alphabet",
        )
    is_symbol = (classes != blank) & (classes >= 0)
    if joins_repeats:
        is_symbol[:, 1:] &= classes[:, 1:] != classes[:, :-1]
    numbers = classes - (classes > blank)
    return ["".join(alphabet[number] for number in row[kept]) for row, kept in zip(numbers, is_symbol, strict=True)]
