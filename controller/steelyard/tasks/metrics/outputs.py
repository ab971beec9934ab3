"""Read truth and a device's reduced outputs: a device's bytes are not trusted, and what does not fit is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS

# The name of the array that the agent's reducer ``argmax`` gives.
ARGMAX = "argmax"
# Squares of it, summed over any data set, are still finite in float64.
_LARGEST = 1e100


def truth_array(truth: Mapping[str, NDArray[Any]], name: str, *, dtypes: str, rank: int | None = None) -> NDArray[Any]:
    """Return an array of the truth; ``dtypes`` are the kinds that it may have ("iu" for whole numbers).

    Raises:
        TaskError: truth_missing, or invalid_truth for another dtype or rank.
    """
    if name not in truth:
        listed = ", ".join(sorted(truth)) or "nothing"
        raise TaskError("truth_missing", f"the task's truth has no array {name!r}, only {listed}; add it to the task")
    array = truth[name]
    if array.dtype.kind not in dtypes or (rank is not None and array.ndim != rank):
        raise TaskError(
            "invalid_truth",
            f"the task's array {name!r} is {described(array)}, which this metric cannot use; correct the task's data",
        )
    return array


def class_labels(truth: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the class numbers of the samples, int64 [N].

    Raises:
        TaskError: truth without such labels.
    """
    return truth_array(truth, LABELS, dtypes="iu", rank=1).astype(np.int64, copy=False)


def class_answers(outputs: Mapping[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return what the reducer ``argmax`` gave, int64 of this shape; -1 in it stands for scores that were all NaN.

    Sizes of 0 in ``shape`` (but the first) may be any.

    Raises:
        TaskError: invalid_outputs, or lengths_differ for another number of samples.
    """
    array = outputs.get(ARGMAX)
    wanted = [shape[0], *(size or "any" for size in shape[1:])]
    if array is None or array.dtype != np.int64 or array.ndim != len(shape):
        raise TaskError(
            "invalid_outputs",
            f"the device's array {ARGMAX!r} is {_found(array)} and should be int64 {wanted}: this metric does not fit "
            "the model's first output; correct the metric, or measure again",
        )
    require_sample_count(array, shape[0], ARGMAX)
    if any(size and size != found for size, found in zip(shape[1:], array.shape[1:], strict=True)):
        raise TaskError(
            "invalid_outputs",
            f"the device's array {ARGMAX!r} has the shape {list(array.shape)} and should have {wanted}; prepare the "
            "truth at the size of the model's output",
        )
    return array


def output_array(outputs: Mapping[str, NDArray[Any]], name: str, sample_count: int | None) -> tuple[str, NDArray[Any]]:
    """Return the name and values [N, ...] of an output, "" for the first; a ``sample_count`` of None takes any N.

    Raises:
        TaskError: invalid_outputs for an output that is not there, lengths_differ for another number of samples.
    """
    if not outputs or (name and name not in outputs):
        listed = ", ".join(outputs) or "nothing"
        raise TaskError(
            "invalid_outputs", f"the model gives no output {name!r}, only {listed}; correct the name in [metric]"
        )
    found = name or next(iter(outputs))
    array = np.atleast_1d(outputs[found])
    if sample_count is not None:
        require_sample_count(array, sample_count, found)
    return found, array


def one_row_a_sample(array: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values of an array [N, ...] as rows [N, values]."""
    return array.reshape(array.shape[0], -1).astype(np.float64)


def finite_output(outputs: Mapping[str, NDArray[Any]], name: str, sample_count: int) -> tuple[str, NDArray[Any]]:
    """Return the name and the floats [N, ...] of an output, "" for the first; in the dtype that the model gives.

    Raises:
        TaskError: invalid_outputs, also for NaN, infinity, values beyond 1e100 and integers; lengths_differ.
    """
    found, array = output_array(outputs, name, sample_count)
    if array.dtype.kind != "f":
        raise TaskError(
            "invalid_outputs",
            f"output {found!r} is {array.dtype} and this metric needs floating-point values; name another output, or "
            "give the model a float output",
        )
    # Half and single precision end far below; a comparison is False for NaN, too.
    is_usable = np.isfinite(array) if array.dtype.itemsize < 8 else np.abs(array) <= _LARGEST
    odd_count = array.size - int(np.count_nonzero(is_usable))
    if odd_count:
        raise TaskError(
            "invalid_outputs",
            f"{odd_count} of {array.size} values of output {found!r} are NaN, infinite or beyond {_LARGEST:g}, so that "
            "this metric has no value; look for the layer that overflows (float16?) or leave this variant out",
        )
    return found, array


def class_output(outputs: Mapping[str, NDArray[Any]], name: str, sample_count: int) -> NDArray[np.int64]:
    """Return an output that holds class numbers already, int64 [N, ...]; floats are taken where they are whole.

    Raises:
        TaskError: invalid_outputs, lengths_differ.
    """
    found, array = output_array(outputs, name, sample_count)
    # 2**31 is far above any class number, and far below where floats and int64 stop being exact.
    fits = array.dtype.kind in "iuf" and bool(np.all((array >= -(2**31)) & (array < 2**31)))
    if not fits or (array.dtype.kind == "f" and bool(np.any(array != np.floor(array)))):
        raise TaskError(
            "invalid_outputs",
            f"output {found!r} is {described(array)} and holds other values than class numbers; say that it holds "
            'scores (output_form = "scores"), or name another output',
        )
    return array.astype(np.int64, copy=False)


def require_sample_count(array: NDArray[Any], sample_count: int, name: str) -> None:
    """Refuse another number of answers than of samples.

    Raises:
        TaskError: lengths_differ.
    """
    count = array.shape[0] if array.ndim else 0
    if count != sample_count:
        raise TaskError(
            "lengths_differ",
            f"{count} answers from the device in {name!r} for {sample_count} samples of the task; measure again, with "
            "a model whose outputs have one row a sample",
        )


def described(array: NDArray[Any]) -> str:
    """Return dtype and shape for a sentence."""
    return f"{array.dtype} {list(array.shape)}"


def _found(array: NDArray[Any] | None) -> str:
    return "missing" if array is None else described(array)
