"""The TOML form of a task, parsed and checked before any data is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

from steelyard.spelling import first_unknown, meant
from steelyard.tasks.errors import TaskError
from steelyard.tasks.preprocess import Preprocess
from steelyard.tasks.task import METRICS

_TOP_KEYS = ("name", "data", "licence", "description", "evaluation", "calibration", "preprocess", "metric")
_TABLE_KEYS = {
    "evaluation": ("inputs", "labels"),
    "calibration": ("inputs",),
    "preprocess": ("divide", "mean", "std", "layout"),
    "metric": ("kind", "class_names"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """What a task TOML says; array names refer to the .npz file ``data``, "" where there is none."""

    name: str
    data: Path
    evaluation_inputs: str
    labels: str
    calibration_inputs: str
    preprocess: Preprocess | None
    metric: str
    class_names: str
    licence: str
    description: str


def parse_task_file(text: str, *, source: Path) -> TaskFile:
    """Parse a task TOML; ``data`` is found beside ``source``.

    Raises:
        TaskError: no TOML, an unknown key (the nearest known one is named), a missing key or a value of another type.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TaskError("invalid_task", f"{source} is not valid TOML: {error}") from error
    _refuse_unknown(content, _TOP_KEYS, f"{source}")
    tables = {name: _table(content, name, source) for name in _TABLE_KEYS}
    metric = _string(tables["metric"], "kind", source, default="top1")
    if metric not in METRICS:
        raise TaskError("invalid_task", f"{source}: metric.kind is {metric!r}; {meant(metric, METRICS)}")
    return TaskFile(
        name=_string(content, "name", source),
        data=source.parent / _string(content, "data", source),
        evaluation_inputs=_string(tables["evaluation"], "inputs", source),
        labels=_string(tables["evaluation"], "labels", source),
        calibration_inputs=_string(tables["calibration"], "inputs", source, default=""),
        preprocess=_preprocess(tables["preprocess"], source) if "preprocess" in content else None,
        metric=metric,
        class_names=_string(tables["metric"], "class_names", source, default=""),
        licence=_string(content, "licence", source, default=""),
        description=_string(content, "description", source, default=""),
    )


def _preprocess(table: Mapping[str, Any], source: Path) -> Preprocess:
    return Preprocess(
        divide=_numbers(table, "divide", source, default=(1.0,))[0],
        mean=_numbers(table, "mean", source, default=(0.0,)),
        std=_numbers(table, "std", source, default=(1.0,)),
        layout=_string(table, "layout", source, default=""),
    )


def _table(content: Mapping[str, Any], name: str, source: Path) -> Mapping[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise TaskError("invalid_task", f"{source}: {name!r} is {table!r}; write it as a table [{name}]")
    _refuse_unknown(table, _TABLE_KEYS[name], f"{source} [{name}]")
    return table


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = first_unknown(list(table), known)
    if unknown is not None:
        raise TaskError("unknown_key", f"{where} has the unknown key {unknown!r}; {meant(unknown, known)}")


def _string(table: Mapping[str, Any], key: str, source: Path, *, default: str | None = None) -> str:
    value = table.get(key, default)
    if value is None:
        raise TaskError("missing_key", f"{source} lacks the key {key!r}; add it")
    if not isinstance(value, str) or (default is None and not value):
        raise TaskError("invalid_task", f"{source}: {key!r} is {value!r}; write a text in quotes")
    return value


def _numbers(table: Mapping[str, Any], key: str, source: Path, *, default: tuple[float, ...]) -> tuple[float, ...]:
    value = table.get(key, list(default))
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
        raise TaskError("invalid_task", f"{source}: {key!r} is {value!r}; write a number or a list of numbers")
    return tuple(float(item) for item in items)
