"""Checks of a task's data by itself and against a model's signature. Pure: arrays in, sentences out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.task import LoadedTask
from steelyard_protocol.v1 import common_pb2

_HASH_BYTES = 16


def check_data(what: str, array: NDArray[Any], source: Path) -> None:
    """Refuse inputs that are empty, no numbers or not finite.

    Raises:
        TaskError: empty_data, invalid_dtype or not_finite.
    """
    if array.ndim == 0 or array.size == 0:
        raise TaskError("empty_data", f"{source}: {what} have the shape {list(array.shape)}; add samples")
    if array.dtype.kind not in "biuf":
        raise TaskError("invalid_dtype", f"{source}: {what} are {array.dtype}; store numbers")
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array).reshape(array.shape[0], -1).all(axis=1)
        if bad.any():
            raise TaskError(
                "not_finite",
                f"{source}: {int(bad.sum())} of {array.shape[0]} samples of {what} hold NaN or infinity, the first is "
                f"sample {int(bad.argmax())}; remove or repair them",
            )


def checked_labels(labels: NDArray[Any], sample_count: int, source: Path) -> NDArray[np.int64]:
    """Return the labels as int64 [N].

    Raises:
        TaskError: invalid_labels or lengths_differ.
    """
    if labels.dtype.kind not in "iu":
        raise TaskError("invalid_labels", f"{source}: the labels are {labels.dtype}; store class numbers as integers")
    if labels.ndim != 1:
        raise TaskError(
            "invalid_labels",
            f"{source}: the labels have the shape {list(labels.shape)}; store one class number a sample",
        )
    if labels.shape[0] != sample_count:
        raise TaskError(
            "lengths_differ", f"{source}: {sample_count} evaluation samples and {labels.shape[0]} labels; store as many"
        )
    if int(labels.min()) < 0:
        raise TaskError("invalid_labels", f"{source}: the label {int(labels.min())} is negative; classes count from 0")
    return labels.astype(np.int64)


def refuse_shared_samples(evaluation: NDArray[Any], calibration: NDArray[Any], source: Path) -> None:
    """Refuse splits that share samples, compared value by value.

    Raises:
        TaskError: shared_samples, with how many calibration samples are also in the evaluation data.
    """
    dtype = np.result_type(evaluation.dtype, calibration.dtype)
    known = set(_row_hashes(evaluation, dtype))
    shared_count = sum(digest in known for digest in _row_hashes(calibration, dtype))
    if shared_count:
        raise TaskError(
            "shared_samples",
            f"{source}: {shared_count} of {calibration.shape[0]} calibration samples are also evaluation samples; "
            "calibrate on other data, or the accuracy is too good to be true",
        )


def check_fits(task: LoadedTask, signature: common_pb2.Signature, *, input_name: str = "") -> str:
    """Check that the task's data and labels fit a model, and return the name of the input that the data is for.

    Raises:
        TaskError: input_unknown, dtype_mismatch, shape_mismatch or label_out_of_range.
    """
    spec = _input_spec(signature, input_name)
    if spec.dtype != task.model_dtype().name:
        raise TaskError(
            "dtype_mismatch",
            f"the model's input {spec.name!r} takes {spec.dtype} and {task.source} gives {task.model_dtype().name}; "
            "convert the data, or describe it in a task file with [preprocess]",
        )
    shape = (task.evaluation_inputs.shape[0], *task.model_shape())
    if not _shape_fits(spec, shape):
        raise TaskError(
            "shape_mismatch",
            f"the model's input {spec.name!r} has the shape {_shape_text(spec)} and a sample of {task.source} is "
            f"{list(task.model_shape())}; correct preprocess.layout (NCHW or NHWC) or the data",
        )
    _check_labels(task, signature.outputs[0])
    return spec.name


def _check_labels(task: LoadedTask, output: common_pb2.TensorSpec) -> None:
    sizes = [dimension.size for dimension in output.dimensions if dimension.HasField("size")]
    known = bool(output.dimensions) and output.dimensions[-1].HasField("size")
    highest = int(task.labels.max())
    if known and highest >= sizes[-1]:
        raise TaskError(
            "label_out_of_range",
            f"{task.source} has the label {highest} and the model's output {output.name!r} has {sizes[-1]} classes, "
            f"0 to {sizes[-1] - 1}; correct the labels or the model",
        )


def _input_spec(signature: common_pb2.Signature, input_name: str) -> common_pb2.TensorSpec:
    names = [spec.name for spec in signature.inputs]
    if not input_name and len(names) == 1:
        return signature.inputs[0]
    for spec in signature.inputs:
        if spec.name == input_name:
            return spec
    raise TaskError(
        "input_unknown",
        f"the model has the inputs {', '.join(names)} and the data is for {input_name or 'none of them by name'}; name "
        "one of them",
    )


def _shape_fits(spec: common_pb2.TensorSpec, shape: tuple[int, ...]) -> bool:
    # The first dimension is the batch: the device feeds as many samples as the model takes.
    return len(spec.dimensions) == len(shape) and all(
        not dimension.HasField("size") or dimension.size == size
        for dimension, size in zip(spec.dimensions[1:], shape[1:], strict=True)
    )


def _shape_text(spec: common_pb2.TensorSpec) -> str:
    sizes = [str(d.size) if d.HasField("size") else d.symbol or "?" for d in spec.dimensions]
    return f"[{', '.join(sizes)}]"


def _row_hashes(array: NDArray[Any], dtype: np.dtype[Any]) -> list[bytes]:
    return [
        hashlib.blake2b(np.ascontiguousarray(row, dtype=dtype).tobytes(), digest_size=_HASH_BYTES).digest()
        for row in array
    ]
