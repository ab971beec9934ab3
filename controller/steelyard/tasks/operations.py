"""Preprocessing operations of plugins, done to stored samples before anything else looks at them.

They run where the task is materialised: a device gets their results, and times what ``[preprocess]`` declares alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.task import Split

if TYPE_CHECKING:
    from steelyard.plugins.contract import PreprocessingOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOperation:
    """An operation and the stored input that it is for, "" for the only one."""

    operation: PreprocessingOperation
    input: str = ""


def parse_operations(tables: object, *, where: str) -> tuple[PlacedOperation, ...]:
    """Return what the tables ``[[operations]]`` of a task file say, in their order.

    Raises:
        TaskError: an operation that no plugin brings, or a setting that it refuses.
        PluginError: a plugin that cannot be used.
    """
    from steelyard.plugins.making import make
    from steelyard.plugins.roles import PREPROCESSING

    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise TaskError("invalid_task", f"{where}: 'operations' is {tables!r}; write tables [[operations]]")
    placed = []
    for table in tables:
        kind, name = table.get("kind"), table.get("input", "")
        if not isinstance(kind, str) or not isinstance(name, str):
            raise TaskError("invalid_task", f"{where}: an operation has the kind {kind!r}; write a text in quotes")
        settings = {key: value for key, value in table.items() if key not in {"kind", "input"}}
        placed.append(PlacedOperation(operation=make(PREPROCESSING, kind, settings, where=where), input=name))
    return tuple(placed)


def operate(data: SourceData, operations: Sequence[PlacedOperation], *, where: str) -> SourceData:
    """Return the data with every split's samples changed, and the operations told in ``drawn`` with their plugins.

    Raises:
        TaskError: an input that is not there, or an operation that gives something else than as many samples.
    """
    if not operations:
        return data
    for placed in operations:
        data = dataclasses.replace(
            data,
            evaluation=_changed(data.evaluation, placed, where),
            calibration=data.calibration and _changed(data.calibration, placed, where),
            validation=data.validation and _changed(data.validation, placed, where),
            training=data.training and _changed(data.training, placed, where),
        )
    return dataclasses.replace(data, drawn={**data.drawn, "operations": [_told(placed) for placed in operations]})


def _changed(split: Split, placed: PlacedOperation, where: str) -> Split:
    names = [placed.input] if placed.input else list(split.inputs)
    if len(names) != 1 or names[0] not in split.inputs:
        raise TaskError(
            "invalid_task",
            f"{where}: operation {placed.operation.kind} is for the input {placed.input!r} and the task has "
            f"{', '.join(map(repr, split.inputs))}; name one in its key 'input'",
        )
    before = split.inputs[names[0]]
    after = placed.operation.apply(before.copy())
    if not isinstance(after, np.ndarray) or after.dtype == object or after.shape[:1] != before.shape[:1]:
        told = f"{after.dtype} {list(after.shape)}" if isinstance(after, np.ndarray) else type(after).__name__
        raise TaskError(
            "plugin_failed",
            f"{where}: operation {placed.operation.kind} made {told} of {before.dtype} {list(before.shape)}; it must "
            "return as many samples",
        )
    inputs: dict[str, NDArray[Any]] = {**split.inputs, names[0]: after}
    return dataclasses.replace(split, inputs=inputs)


def _told(placed: PlacedOperation) -> Mapping[str, object]:
    from steelyard.plugins.lookup import origin_text
    from steelyard.plugins.roles import PREPROCESSING

    operation = placed.operation
    settings = {field.name: getattr(operation, field.name) for field in dataclasses.fields(operation)}
    return {"kind": operation.kind, **settings, "plugin": origin_text(PREPROCESSING, operation.kind)}
