"""Load a task from its TOML file or straight from an .npz file, and check its data."""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.checks import check_data, checked_labels, refuse_shared_samples
from steelyard.tasks.errors import TaskError
from steelyard.tasks.preprocess import Preprocess
from steelyard.tasks.task import LoadedTask
from steelyard.tasks.task_file import TaskFile, parse_task_file

# Array names of a bare .npz, in the order they are looked for.
_INPUT_NAMES = ("x_eval", "x")
_LABEL_NAMES = ("y_eval", "y")
_CALIBRATION_NAME = "x_calib"
_CLASS_NAMES = "class_names"


def load_task(path: Path, *, layout: str | None = None) -> LoadedTask:
    """Load a task and check its data.

    Args:
        path: a task TOML, or an .npz with ``x`` and ``y`` (or ``x_eval``, ``y_eval``), perhaps ``x_calib`` and
            ``class_names``; its inputs are then taken as they are, in the form that the model takes.
        layout: "NCHW" or "NHWC", instead of the layout that the file names.

    Raises:
        TaskError: a file that is missing or no task, or data that makes no sense.
    """
    if path.suffix.lower() == ".npz":
        spec, arrays = None, _read_arrays(path)
        task = _bare_task(path, arrays)
    else:
        spec = parse_task_file(_text(path), source=path)
        arrays = _read_arrays(spec.data)
        task = _described_task(path, spec, arrays)
    if layout is not None:
        task = dataclasses.replace(task, preprocess=_with_layout(task.preprocess, layout))
    return task


def _with_layout(preprocess: Preprocess | None, layout: str) -> Preprocess:
    return dataclasses.replace(preprocess or Preprocess(), layout=layout)


def _described_task(path: Path, spec: TaskFile, arrays: Mapping[str, NDArray[Any]]) -> LoadedTask:
    class_names = _array(arrays, spec.class_names, spec.data) if spec.class_names else None
    calibration = _array(arrays, spec.calibration_inputs, spec.data) if spec.calibration_inputs else None
    return _checked_task(
        name=spec.name,
        source=path,
        inputs=_array(arrays, spec.evaluation_inputs, spec.data),
        labels=_array(arrays, spec.labels, spec.data),
        calibration=calibration,
        class_names=class_names,
        rest={
            "preprocess": spec.preprocess,
            "metric": spec.metric,
            "licence": spec.licence,
            "description": spec.description,
        },
    )


def _bare_task(path: Path, arrays: Mapping[str, NDArray[Any]]) -> LoadedTask:
    return _checked_task(
        name=path.stem,
        source=path,
        inputs=_first_of(arrays, _INPUT_NAMES, path),
        labels=_first_of(arrays, _LABEL_NAMES, path),
        calibration=arrays.get(_CALIBRATION_NAME),
        class_names=arrays.get(_CLASS_NAMES),
        rest={},
    )


def _checked_task(
    *,
    name: str,
    source: Path,
    inputs: NDArray[Any],
    labels: NDArray[Any],
    calibration: NDArray[Any] | None,
    class_names: NDArray[Any] | None,
    rest: dict[str, Any],
) -> LoadedTask:
    check_data("the evaluation inputs", inputs, source)
    if calibration is not None:
        check_data("the calibration inputs", calibration, source)
        if calibration.shape[1:] != inputs.shape[1:]:
            raise TaskError(
                "shapes_differ",
                f"{source}: a calibration sample has the shape {list(calibration.shape[1:])} and an evaluation sample "
                f"{list(inputs.shape[1:])}; store both alike",
            )
        refuse_shared_samples(inputs, calibration, source)
    return LoadedTask(
        name=name,
        source=source,
        evaluation_inputs=inputs,
        labels=checked_labels(labels, inputs.shape[0], source),
        calibration_inputs=calibration,
        class_names=() if class_names is None else tuple(str(text) for text in class_names.ravel()),
        **rest,
    )


def _first_of(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...], path: Path) -> NDArray[Any]:
    for name in names:
        if name in arrays:
            return arrays[name]
    raise TaskError(
        "array_missing", f"{path} has no array {' or '.join(names)}, only {_listed(arrays)}; store it under that name"
    )


def _array(arrays: Mapping[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    if name not in arrays:
        raise TaskError("array_missing", f"{path} has no array {name!r}, only {_listed(arrays)}; correct the name")
    return arrays[name]


def _listed(arrays: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(sorted(arrays)) or "nothing"


def _text(path: Path) -> str:
    try:
        _refuse_special_file(path)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise TaskError("task_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError) as error:
        raise TaskError("task_unreadable", f"{path} cannot be read as text ({error}); give a task TOML") from error


def _refuse_special_file(path: Path) -> None:
    """Refuse a pipe or a device file, which may never end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise TaskError("task_unreadable", f"{path} is no regular file; copy the data into one")


def _refuse_more_than_memory(path: Path) -> None:
    """Refuse what unpacks to more than the memory that is free: ten megabytes of zeros can be twenty gigabytes."""
    import psutil

    with zipfile.ZipFile(path) as archive:
        unpacked_bytes = sum(member.file_size for member in archive.infolist())
    free_bytes = psutil.virtual_memory().available
    if unpacked_bytes > free_bytes:
        raise TaskError(
            "npz_too_large",
            f"{path} unpacks to {unpacked_bytes} bytes and this machine has {free_bytes} bytes of memory free; store "
            "fewer samples, or smaller ones (uint8 with a [preprocess])",
        )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read a user's own .npz, compressed or not; pickled arrays are refused."""
    try:
        _refuse_special_file(path)
        if path.exists() and not zipfile.is_zipfile(path):
            raise TaskError("invalid_npz", f"{path} is not an .npz file; store inputs and labels with numpy.savez")
        _refuse_more_than_memory(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except MemoryError as error:
        # numpy allocates what an array's header claims before it looks at the data.
        raise TaskError(
            "npz_too_large", f"{path} claims more data than this machine has memory for ({error}); store fewer samples"
        ) from error
    except FileNotFoundError as error:
        raise TaskError("data_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, SyntaxError) as error:
        if "pickle" in str(error):
            raise TaskError(
                "pickled_array", f"{path} holds pickled objects, which could run code; store plain number arrays"
            ) from error
        raise TaskError("invalid_npz", f"{path} is not a readable .npz file ({error}); make it again") from error
