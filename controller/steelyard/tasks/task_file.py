"""The TOML form of a task, parsed and checked before any data is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.spelling import first_unknown, meant
from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.contract import LABELS, Metric
from steelyard.tasks.metrics.registry import metric
from steelyard.tasks.operations import PlacedOperation, parse_operations
from steelyard.tasks.preprocess import Preprocess
from steelyard.tasks.task import ONLY_INPUT
from steelyard.toml_text import parse_toml

SPLITS = ("evaluation", "calibration", "validation", "training")
_TOP_KEYS = (
    *("name", "data", "source", "licence", "description", "whole", "fixed"),
    *(*SPLITS, "operations", "preprocess", "metric"),
)
_PREPROCESS_KEYS = ("divide", "mean", "std", "layout")
_SPLIT_KEYS = ("inputs", "labels", "truth")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitNames:
    """Array names of one split in the .npz: of the inputs by model input, of the truth by what it is."""

    inputs: Mapping[str, str]
    truth: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """What a task TOML says: a ``data`` file (.npz) with the array names of each split, or the table ``source``.

    ``fixed`` are values by input, the same for each sample; ``is_whole``: a sample is all that one inference takes.
    """

    name: str
    data: Path | None
    source: Mapping[str, Any] | None
    splits: Mapping[str, SplitNames]
    operations: tuple[PlacedOperation, ...]
    preprocess: Preprocess | None
    metric: Metric
    class_names: str
    licence: str
    description: str
    fixed: Mapping[str, object]
    is_whole: bool


def parse_task_file(text: str, *, source: Path) -> TaskFile:
    """Parse a task TOML; files that it names are found beside ``source``.

    Raises:
        TaskError: no TOML, an unknown key (the nearest known one is named), a missing key or a value of another type.
    """
    try:
        content = parse_toml(text)
    except ValueError as error:
        raise TaskError("invalid_task", f"{source} is not valid TOML: {error}") from error
    refuse_unknown(content, _TOP_KEYS, f"{source}")
    metric_table = dict(_table(content, "metric", source))
    class_names = _string(metric_table, "class_names", source, default="")
    metric_table.pop("class_names", None)
    kind = _string(metric_table, "kind", source, default="top1")
    metric_table.pop("kind", None)
    data, origin = _where(content, source)
    return TaskFile(
        name=_string(content, "name", source),
        data=data,
        source=origin,
        splits={} if data is None else _splits(content, source),
        operations=parse_operations(content.get("operations", []), where=f"{source} [[operations]]"),
        preprocess=_preprocess(_table(content, "preprocess", source), source) if "preprocess" in content else None,
        metric=_metric(kind, metric_table, source),
        class_names=class_names,
        licence=_string(content, "licence", source, default=""),
        description=_string(content, "description", source, default=""),
        fixed=_fixed(_table(content, "fixed", source), source),
        is_whole=_is_whole(content, source),
    )


def refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse a key that is none of ``known``; the nearest one is named.

    Raises:
        TaskError: unknown_key.
    """
    unknown = first_unknown(list(table), known)
    if unknown is not None:
        raise TaskError("unknown_key", f"{where} has the unknown key {unknown!r}; {meant(unknown, known)}")


def _where(content: Mapping[str, Any], source: Path) -> tuple[Path | None, Mapping[str, Any] | None]:
    if ("data" in content) == ("source" in content):
        raise TaskError(
            "missing_key" if "data" not in content else "invalid_task",
            f"{source} needs the key 'data' (an .npz file) or the table [source], one of the two",
        )
    if "data" in content:
        return source.parent / _string(content, "data", source), None
    origin = content["source"]
    if not isinstance(origin, dict):
        raise TaskError("invalid_task", f"{source}: 'source' is {origin!r}; write it as a table [source]")
    named = [split for split in SPLITS if split in content]
    if named:
        raise TaskError(
            "invalid_task", f"{source}: [{named[0]}] is for 'data'; a [source] has its splits in its own table"
        )
    return None, origin


def _splits(content: Mapping[str, Any], source: Path) -> dict[str, SplitNames]:
    splits = {}
    for name in SPLITS:
        if name not in content and name != "evaluation":
            continue
        table = _table(content, name, source)
        refuse_unknown(table, _SPLIT_KEYS, f"{source} [{name}]")
        if name == "calibration" and not table.get("inputs"):
            continue
        splits[name] = SplitNames(inputs=_inputs(table, source), truth=_truth(table, source))
    return splits


def _inputs(table: Mapping[str, Any], source: Path) -> dict[str, str]:
    value = table.get("inputs")
    if not isinstance(value, dict):
        return {ONLY_INPUT: _string(table, "inputs", source)}
    if not value:
        raise TaskError("invalid_task", f"{source}: 'inputs' is empty; name an array for each input of the model")
    return {name: _string(value, name, source) for name in value}


def _fixed(table: Mapping[str, Any], source: Path) -> dict[str, object]:
    """Return the values of ``[fixed.INPUT]`` tables."""
    values: dict[str, object] = {}
    for name in table:
        one = _table(table, name, source)
        refuse_unknown(one, ("value",), f"{source} [fixed.{name}]")
        if "value" not in one:
            raise TaskError(
                "missing_key", f"{source} [fixed.{name}] lacks the key 'value'; add the number that it takes"
            )
        values[name] = one["value"]
    return values


def _is_whole(content: Mapping[str, Any], source: Path) -> bool:
    value = content.get("whole", False)
    if not isinstance(value, bool):
        raise TaskError("invalid_task", f"{source}: 'whole' is {value!r}; write true or false")
    if value and "preprocess" in content:
        raise TaskError(
            "invalid_task",
            f"{source}: with whole = true there is no [preprocess]; store inputs as the model takes them",
        )
    return value


def _truth(table: Mapping[str, Any], source: Path) -> dict[str, str]:
    truth = table.get("truth", {})
    if not isinstance(truth, dict):
        raise TaskError("invalid_task", f"{source}: 'truth' is {truth!r}; write a table like {{ boxes = \"b\" }}")
    named = {name: _string(truth, name, source) for name in truth}
    labels = _string(table, "labels", source, default="")
    return {**named, **({LABELS: labels} if labels else {})}


def _metric(kind: str, settings: Mapping[str, Any], source: Path) -> Metric:
    try:
        return metric(kind, settings)
    except TaskError as error:
        raise TaskError(error.reason, f"{source} [metric]: {error}") from error


def _preprocess(table: Mapping[str, Any], source: Path) -> Preprocess:
    refuse_unknown(table, _PREPROCESS_KEYS, f"{source} [preprocess]")
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
    return table


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
