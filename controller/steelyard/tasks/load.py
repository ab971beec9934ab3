"""Load a task from its TOML file or straight from an .npz file, and check its data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from steelyard.tasks.checks import checked_split, refuse_other_shapes, refuse_shared_samples, refuse_undefined
from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS, Metric
from steelyard.tasks.npz_source import read_arrays, refuse_special_file
from steelyard.tasks.operations import operate
from steelyard.tasks.preprocess import Preprocess
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.task import ONLY_INPUT, LoadedTask, Split
from steelyard.tasks.task_file import SplitNames, TaskFile, parse_task_file

# Array names of a bare .npz, in the order they are looked for.
_INPUT_NAMES = ("x_eval", "x")
_LABEL_NAMES = ("y_eval", "y")
_CLASS_NAMES = "class_names"


def load_task(path: Path, *, layout: str | None = None) -> LoadedTask:
    """Load a task and check its data.

    Args:
        path: a task TOML, or an .npz with ``x`` and ``y`` (or ``x_eval``, ``y_eval``), perhaps ``x_calib``, ``x_valid``
            with ``y_valid``, ``x_train`` with ``y_train``, and ``class_names``; its inputs are then taken as they are,
            in the form that the model takes.
        layout: "NCHW" or "NHWC", instead of the layout that the file names.

    Raises:
        TaskError: a file that is missing or no task, or data that makes no sense.
    """
    task = _bare_task(path) if path.suffix.lower() == ".npz" else _described_task(path)
    if layout is not None:
        task = dataclasses.replace(task, preprocess=dataclasses.replace(task.preprocess or Preprocess(), layout=layout))
    return task


def _described_task(path: Path) -> LoadedTask:
    spec = parse_task_file(_text(path), source=path)
    data = _read_source(path, spec) if spec.data is None else _read_npz(spec, spec.data)
    return _checked_task(
        operate(data, spec.operations, where=f"{path} [[operations]]"),
        spec.metric,
        name=spec.name,
        source=path,
        preprocess=spec.preprocess,
        licence=spec.licence,
        description=spec.description,
        fixed=spec.fixed,
        is_whole=spec.is_whole,
    )


def _read_source(path: Path, spec: TaskFile) -> SourceData:
    from steelyard.tasks.sources.registry import source_of

    assert spec.source is not None
    return source_of(spec.source, where=f"{path} [source]").read(path.parent)


def _read_npz(spec: TaskFile, data: Path) -> SourceData:
    arrays = read_arrays(data)
    splits = {name: _named_split(arrays, names, data) for name, names in spec.splits.items()}
    class_names = _array(arrays, spec.class_names, data).ravel() if spec.class_names else ()
    return SourceData(
        evaluation=splits["evaluation"],
        calibration=splits.get("calibration"),
        validation=splits.get("validation"),
        training=splits.get("training"),
        class_names=tuple(str(text) for text in class_names),
        drawn={"kind": "npz", "file": data.name},
    )


def _named_split(arrays: Mapping[str, NDArray[Any]], names: SplitNames, data: Path) -> Split:
    return Split(
        inputs={name: _array(arrays, array, data) for name, array in names.inputs.items()},
        truth={name: _array(arrays, array, data) for name, array in names.truth.items()},
    )


def _bare_task(path: Path) -> LoadedTask:
    from steelyard.tasks.metrics.accuracy import Top1

    arrays = read_arrays(path)
    evaluation = Split(
        inputs={ONLY_INPUT: _first_of(arrays, _INPUT_NAMES, path)},
        truth={LABELS: _first_of(arrays, _LABEL_NAMES, path)},
    )
    data = SourceData(
        evaluation=evaluation,
        calibration=Split(inputs={ONLY_INPUT: arrays["x_calib"]}) if "x_calib" in arrays else None,
        validation=Split(inputs={ONLY_INPUT: arrays["x_valid"]}, truth={LABELS: _array(arrays, "y_valid", path)})
        if "x_valid" in arrays
        else None,
        training=_bare_training(arrays, path),
        class_names=tuple(str(text) for text in arrays[_CLASS_NAMES].ravel()) if _CLASS_NAMES in arrays else (),
        drawn={"kind": "npz", "file": path.name},
    )
    return _checked_task(data, Top1(), name=path.stem, source=path)


def _checked_task(data: SourceData, metric: Metric, *, name: str, source: Path, **rest: Any) -> LoadedTask:
    evaluation = checked_split("evaluation", data.evaluation, source, metric)
    calibration = data.calibration and checked_split("calibration", data.calibration, source, None)
    validation = data.validation and checked_split("validation", data.validation, source, metric)
    training = data.training and _checked_training(data.training, source, metric)
    for what, split in (("calibration", calibration), ("validation", validation), ("training", training)):
        if split is not None:
            refuse_other_shapes(evaluation, split, what, source)
            refuse_shared_samples(evaluation, split, what, source)
    refuse_undefined(metric, evaluation, source)
    return LoadedTask(
        name=name,
        source=source,
        evaluation=evaluation,
        calibration=calibration,
        validation=validation,
        training=training,
        metric=metric,
        class_names=data.class_names,
        drawn=data.drawn,
        **rest,
    )


def _checked_training(training: Split, source: Path, metric: Metric) -> Split:
    """Return the samples to train on; without truth they are for a teacher to label."""
    return checked_split("training", training, source, metric if training.truth else None)


def _bare_training(arrays: Mapping[str, NDArray[Any]], path: Path) -> Split | None:
    if "x_train" not in arrays:
        return None
    return Split(inputs={ONLY_INPUT: arrays["x_train"]}, truth={LABELS: _array(arrays, "y_train", path)})


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
        refuse_special_file(path)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise TaskError("task_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError) as error:
        raise TaskError("task_unreadable", f"{path} cannot be read as text ({error}); give a task TOML") from error
