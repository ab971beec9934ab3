"""Fixed inputs of a task: values that are the same for each sample, such as a sampling rate.

They have no batch axis, so that samples cannot be put together: each sample becomes all that one inference takes, with
the fixed values in it (docs/decisions/0021-whole-inferences.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.task import LoadedTask
from steelyard_protocol.v1 import common_pb2

# Values are repeated for each sample. Sampling rates take nothing; a large mask would travel a thousand times.
_MOST_BYTES = 64 * 1024 * 1024


def fixed_inputs(task: LoadedTask, signature: common_pb2.Signature) -> dict[str, NDArray[Any]]:
    """Return the values of a task's fixed inputs in the dtype and the shape that the model declares.

    A single number fills an input of any known shape; an open first size is then 1.

    Raises:
        TaskError: input_unknown, invalid_fixed, fixed_batch or fixed_too_large.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    found = {}
    for name, value in task.fixed.items():
        if name not in specs:
            raise TaskError(
                "input_unknown",
                f"{task.source} [fixed.{name}]: the model has the inputs {', '.join(specs)}; correct the name",
            )
        if name in task.evaluation.inputs:
            raise TaskError("invalid_fixed", f"{task.source}: the input {name!r} has data and a fixed value; keep one")
        found[name] = fixed_value(value, specs[name], where=f"{task.source} [fixed.{name}]")
    if found:
        _refuse_batches(task, specs, found)
    return found


def fixed_value(value: object, spec: common_pb2.TensorSpec, *, where: str) -> NDArray[Any]:
    """Return a TOML number, boolean or nested list of them as an input takes it; ``where`` names it in errors.

    Raises:
        TaskError: invalid_fixed.
    """
    wanted = np.dtype(spec.dtype)
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise TaskError("invalid_fixed", f"{where}: {value!r} is ragged; write lists of one length") from error
    with np.errstate(all="ignore"):  # What does not survive is refused below.
        cast = given.astype(wanted) if given.dtype.kind in "biuf" and given.size else None
    is_whole_number = wanted.kind == "f" or given.dtype.kind != "f"
    if (
        cast is None
        or not is_whole_number
        or not np.isfinite(cast).all()
        or (wanted.kind in "iu" and (cast != given).any())
    ):
        raise TaskError("invalid_fixed", f"{where}: {value!r} is no {spec.dtype}, which the input takes; correct it")
    sizes = [one.size if one.HasField("size") else None for one in spec.dimensions]
    if cast.ndim == 0 and sizes:
        filled = [1 if size is None and index == 0 else size for index, size in enumerate(sizes)]
        if None in filled:
            raise TaskError(
                "invalid_fixed",
                f"{where}: the input has the shape {sizes} with an open size; write a list of its shape",
            )
        return np.full([size for size in filled if size is not None], cast)
    fits = len(sizes) == cast.ndim and all(
        size is None or size == have for size, have in zip(sizes, cast.shape, strict=True)
    )
    if not fits:
        raise TaskError(
            "invalid_fixed",
            f"{where}: the value has the shape {list(cast.shape)} and the input takes {sizes}; correct it",
        )
    return cast


def with_fixed(
    inputs: Mapping[str, NDArray[Any]], fixed: Mapping[str, NDArray[Any]], *, are_whole: bool
) -> dict[str, NDArray[Any]]:
    """Return whole inferences: samples [N, ...] with a batch axis of 1 (unless they are whole), each with ``fixed``."""
    count = len(next(iter(inputs.values())))
    samples = {name: array if are_whole else array[:, np.newaxis] for name, array in inputs.items()}
    return {**samples, **{name: np.broadcast_to(value, (count, *value.shape)) for name, value in fixed.items()}}


def _refuse_batches(
    task: LoadedTask, specs: Mapping[str, common_pb2.TensorSpec], fixed: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse a model of a fixed batch, and values that take too much when each sample carries them."""
    for name, spec in specs.items():
        first = spec.dimensions[0] if spec.dimensions else None
        if name not in fixed and not task.is_whole and first is not None and first.HasField("size") and first.size != 1:
            raise TaskError(
                "fixed_batch",
                f"the model's input {name!r} takes batches of {first.size}, and beside fixed inputs ({task.source}) "
                "samples are fed one by one; export it with a batch of 1 or an open one",
            )
    size_bytes = sum(value.nbytes for value in fixed.values()) * task.evaluation.sample_count
    if size_bytes > _MOST_BYTES:
        raise TaskError(
            "fixed_too_large",
            f"{task.source}: the fixed inputs take {size_bytes} bytes when each sample carries them, and at most "
            f"{_MOST_BYTES} are sent; build them into the model as constants",
        )
