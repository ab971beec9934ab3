"""Checks of a task's data by itself and against a model's signature. Pure: arrays in, sentences out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import BOXES, LABELS, MASKS, TARGETS, TEXTS, Metric
from steelyard.tasks.metrics.registry import undefined_reason
from steelyard.tasks.task import ONLY_INPUT, LoadedTask, Split
from steelyard_protocol.v1 import common_pb2

_HASH_BYTES = 16
# Truth that has one entry a sample; boxes say themselves which sample they are in.
_PER_SAMPLE = (LABELS, TARGETS, MASKS, TEXTS)


def checked_split(what: str, split: Split, source: Path, metric: Metric | None) -> Split:
    """Return a split with truth in the dtypes of its contract; ``metric`` None: without truth.

    Raises:
        TaskError: empty_data, invalid_dtype, not_finite, invalid_labels, truth_missing or lengths_differ.
    """
    for name, array in split.inputs.items():
        check_data(f"the {what} inputs" + (f" {name!r}" if name else ""), array, source)
        if array.shape[0] != split.sample_count:
            raise TaskError(
                "lengths_differ",
                f"{source}: the {what} input {name!r} has {array.shape[0]} samples and another {split.sample_count}; "
                "store as many of each",
            )
    if metric is None:
        return Split(inputs=split.inputs)
    missing = [name for name in metric.truth_arrays if name not in split.truth]
    if missing:
        raise TaskError(
            "truth_missing",
            f"{source}: the metric {metric.kind} reads {missing[0]!r} and the {what} samples have "
            f"{', '.join(sorted(split.truth)) or 'no truth'}; name it in [{what}], or choose another metric",
        )
    truth = {name: _checked_truth(name, split.truth[name], split.sample_count, source) for name in metric.truth_arrays}
    return Split(inputs=split.inputs, truth=truth)


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


def _checked_truth(name: str, array: NDArray[Any], sample_count: int, source: Path) -> NDArray[Any]:
    if name in _PER_SAMPLE and (array.ndim == 0 or array.shape[0] != sample_count):
        count = array.shape[0] if array.ndim else 0
        raise TaskError("lengths_differ", f"{source}: {sample_count} samples and {count} {name}; store as many")
    if name == LABELS:
        return _checked_labels(array, source)
    if name == TEXTS:
        return array.astype(np.str_)
    if name in (TARGETS, BOXES):
        if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise TaskError("invalid_truth", f"{source}: {name} are {array.dtype} or not finite; store finite numbers")
        return array.astype(np.float64 if name == TARGETS else np.float32)
    if array.dtype.kind not in "iu":
        raise TaskError("invalid_truth", f"{source}: {name} are {array.dtype}; store whole numbers")
    return array.astype(np.int64)


def _checked_labels(labels: NDArray[Any], source: Path) -> NDArray[np.int64]:
    if labels.dtype.kind not in "iu":
        raise TaskError("invalid_labels", f"{source}: the labels are {labels.dtype}; store class numbers as integers")
    if labels.ndim != 1:
        raise TaskError(
            "invalid_labels",
            f"{source}: the labels have the shape {list(labels.shape)}; store one class number a sample",
        )
    if int(labels.min()) < 0:
        raise TaskError("invalid_labels", f"{source}: the label {int(labels.min())} is negative; classes count from 0")
    if int(labels.max()) > np.iinfo(np.int64).max:
        raise TaskError("invalid_labels", f"{source}: the label {int(labels.max())} is no class number; correct it")
    return labels.astype(np.int64)


def refuse_undefined(metric: Metric, evaluation: Split, source: Path) -> None:
    """Refuse truth that the metric has no value for, whatever a model answers (an AUC of one class).

    Raises:
        TaskError: score_undefined.
    """
    reason = undefined_reason(metric, evaluation.truth) if evaluation.truth else None
    if reason:
        raise TaskError("score_undefined", f"{source}: {reason}")


def refuse_other_shapes(evaluation: Split, other: Split, what: str, source: Path) -> None:
    """Refuse a split whose inputs are others, or of another shape, than those of the evaluation.

    Raises:
        TaskError: shapes_differ or input_unknown.
    """
    if set(other.inputs) != set(evaluation.inputs):
        raise TaskError(
            "input_unknown",
            f"{source}: the {what} samples are for {', '.join(sorted(other.inputs))} and the evaluation samples for "
            f"{', '.join(sorted(evaluation.inputs))}; store the same inputs",
        )
    for name, array in other.inputs.items():
        wanted = evaluation.inputs[name].shape[1:]
        if array.shape[1:] != wanted:
            raise TaskError(
                "shapes_differ",
                f"{source}: a {what} sample has the shape {list(array.shape[1:])} and an evaluation sample "
                f"{list(wanted)}; store both alike",
            )


def refuse_shared_samples(evaluation: Split, other: Split, what: str, source: Path) -> None:
    """Refuse splits that share samples, compared value by value over all inputs.

    Raises:
        TaskError: shared_samples, with how many samples of ``other`` are also in the evaluation data.
    """
    dtypes = {name: np.result_type(array.dtype, other.inputs[name].dtype) for name, array in evaluation.inputs.items()}
    known = set(_row_hashes(evaluation.inputs, dtypes))
    shared_count = sum(digest in known for digest in _row_hashes(other.inputs, dtypes))
    if shared_count:
        raise TaskError(
            "shared_samples",
            f"{source}: {shared_count} of {other.sample_count} {what} samples are also evaluation samples; use other "
            "data for it, or the accuracy is too good to be true",
        )


def check_fits(task: LoadedTask, signature: common_pb2.Signature, *, input_name: str = "") -> dict[str, str]:
    """Check that the task's data and labels fit a model, and return the model's input by the stored input.

    Raises:
        TaskError: input_unknown, dtype_mismatch, shape_mismatch or label_out_of_range.
    """
    places = {}
    for stored in task.evaluation.inputs:
        spec = _input_spec(signature, stored or input_name, task)
        dtype, shape = task.model_spec(stored)
        if spec.dtype != dtype.name:
            raise TaskError(
                "dtype_mismatch",
                f"the model's input {spec.name!r} takes {spec.dtype} and {task.source} gives {dtype.name}; convert the "
                "data, or describe it in a task file with [preprocess]",
            )
        _refuse_other_dtypes(task, stored, spec)
        if not (_whole_fits(spec, shape) if task.is_whole else _shape_fits(spec, shape)):
            raise TaskError(
                "shape_mismatch",
                f"the model's input {spec.name!r} has the shape {_shape_text(spec)} and a sample of {task.source} is "
                f"{list(shape)}; correct preprocess.layout (NCHW or NHWC) or the data",
            )
        places[stored] = spec.name
    if ONLY_INPUT not in places or task.fixed:
        _refuse_missing_inputs(signature, places, task)
    if LABELS in task.evaluation.truth and task.metric.kind in {"top1", "top5", "topk"}:
        _check_labels(task, task.evaluation.truth[LABELS], signature.outputs[0])
    return places


def _refuse_other_dtypes(task: LoadedTask, stored: str, spec: common_pb2.TensorSpec) -> None:
    """Refuse calibration, validation or training samples of another dtype, where no preprocessing converts them."""
    splits = (("calibration", task.calibration), ("validation", task.validation), ("training", task.training))
    for what, split in splits:
        dtype = spec.dtype if split is None or task.preprocess is not None else split.inputs[stored].dtype.name
        if dtype != spec.dtype:
            raise TaskError(
                "dtype_mismatch",
                f"the model's input {spec.name!r} takes {spec.dtype} and the {what} samples of {task.source} are "
                f"{dtype}; convert them",
            )


def _refuse_missing_inputs(signature: common_pb2.Signature, places: Mapping[str, str], task: LoadedTask) -> None:
    known = {*places.values(), *task.fixed}
    missing = [spec.name for spec in signature.inputs if spec.name not in known]
    if missing:
        raise TaskError(
            "input_unknown",
            f"the model's input {missing[0]!r} has no data in {task.source}, which is for {', '.join(sorted(known))}; "
            "name an array for each input, or give it a value in [fixed]",
        )


def _check_labels(task: LoadedTask, labels: NDArray[Any], output: common_pb2.TensorSpec) -> None:
    known = bool(output.dimensions) and output.dimensions[-1].HasField("size")
    class_count = output.dimensions[-1].size if known else 0
    highest = int(labels.max())
    if known and highest >= class_count:
        raise TaskError(
            "label_out_of_range",
            f"{task.source} has the label {highest} and the model's output {output.name!r} has {class_count} classes, "
            f"0 to {class_count - 1}; correct the labels or the model",
        )
    counted = task.metric.reduction.top_count
    if known and 1 < class_count <= counted:
        raise TaskError(
            "k_too_large",
            f"{task.source}: with {class_count} classes the label is always among the {counted} highest, and "
            f"{task.metric.kind} says nothing; use top1, or topk with a smaller k",
        )


def _input_spec(signature: common_pb2.Signature, input_name: str, task: LoadedTask) -> common_pb2.TensorSpec:
    names = [spec.name for spec in signature.inputs]
    others = [spec for spec in signature.inputs if spec.name not in task.fixed]
    if not input_name and len(others) == 1:
        return others[0]
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
    return len(spec.dimensions) == len(shape) + 1 and _sizes_fit(spec.dimensions[1:], shape)


def _whole_fits(spec: common_pb2.TensorSpec, shape: tuple[int, ...]) -> bool:
    return len(spec.dimensions) == len(shape) and _sizes_fit(spec.dimensions, shape)


def _sizes_fit(dimensions: Sequence[common_pb2.Dimension], shape: tuple[int, ...]) -> bool:
    return all(not one.HasField("size") or one.size == size for one, size in zip(dimensions, shape, strict=True))


def _shape_text(spec: common_pb2.TensorSpec) -> str:
    sizes = [str(d.size) if d.HasField("size") else d.symbol or "?" for d in spec.dimensions]
    return f"[{', '.join(sizes)}]"


def _row_hashes(inputs: Mapping[str, NDArray[Any]], dtypes: Mapping[str, np.dtype[Any]]) -> list[bytes]:
    count = len(next(iter(inputs.values())))
    hashes = [hashlib.blake2b(digest_size=_HASH_BYTES) for _ in range(count)]
    for name in sorted(inputs):
        for digest, row in zip(hashes, inputs[name], strict=True):
            # Adding 0 makes 0.0 of -0.0, which is the same value.
            digest.update(np.ascontiguousarray(row + 0, dtype=dtypes[name]).tobytes())
    return [digest.digest() for digest in hashes]
