"""Metrics, computed on the controller from what a device sent back; a device's bytes are not trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz import read_npz

# One int64 a sample; 32 MiB is four million samples.
_MAX_OUTPUT_BYTES = 32 * 1024 * 1024


def read_labels(content: bytes) -> NDArray[np.int64]:
    """Return the labels int64 [N] of a labels blob.

    Raises:
        TaskError: bytes that ``materialise`` did not make.
    """
    return _int64_vector(content, "labels", "the labels blob")


def correct_top1(labels: NDArray[np.int64], outputs: bytes) -> NDArray[np.bool_]:
    """Return for each sample whether the device's class is the label's.

    Args:
        labels: int64 [N].
        outputs: .npz bytes with the array "argmax" int64 [N], from the reducer of the same name.

    Raises:
        TaskError: unreadable outputs, or another number of them than of labels.
    """
    predicted = _int64_vector(outputs, "argmax", "the device's outputs")
    if predicted.shape != labels.shape:
        raise TaskError(
            "lengths_differ",
            f"{predicted.shape[0]} answers from the device for {labels.shape[0]} labels of the task; measure again",
        )
    correct: NDArray[np.bool_] = predicted == labels
    return correct


def _int64_vector(content: bytes, name: str, what: str) -> NDArray[Any]:
    array = read_npz(content, what=what, max_bytes=_MAX_OUTPUT_BYTES).get(name)
    if array is None or array.dtype != np.int64 or array.ndim != 1:
        found = "missing" if array is None else f"{array.dtype} {list(array.shape)}"
        raise TaskError(
            "invalid_outputs", f"{what}: the array {name!r} is {found} and should be int64 [N]; make it again"
        )
    return array
