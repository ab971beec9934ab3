"""Find a source by its kind; a source's module is imported when it is asked for."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from steelyard.spelling import meant
from steelyard.tasks.errors import TaskError
from steelyard.tasks.sources.contract import Source
from steelyard.tasks.task_file import refuse_unknown

_HERE = "steelyard.tasks.sources"
_SOURCES = {
    "images": f"{_HERE}.image_folder:ImageFolder",
    "idx": f"{_HERE}.idx:IdxFiles",
    "text": f"{_HERE}.text:TextFile",
    "table": f"{_HERE}.table:TableFile",
    "wav": f"{_HERE}.wav_folder:WavFolder",
    "coco": f"{_HERE}.coco:CocoFiles",
    "masks": f"{_HERE}.mask_folder:MaskFolder",
    "python": f"{_HERE}.python_file:PythonFile",
}


def source_kinds() -> tuple[str, ...]:
    """Return the kinds of all known sources."""
    return tuple(_SOURCES)


def source_of(table: Mapping[str, Any], *, where: str) -> Source:
    """Return the source that a table of a task file describes; ``where`` names the table in errors.

    Raises:
        TaskError: an unknown kind or key (the nearest is named), or a setting that makes no sense.
    """
    kind = table.get("kind")
    if kind not in _SOURCES:
        raise TaskError("unknown_source", f"{where}: kind is {kind!r}; {meant(str(kind), _SOURCES)}")
    module, _, name = _SOURCES[str(kind)].partition(":")
    found: Any = getattr(importlib.import_module(module), name)
    fields = {field.name: field for field in dataclasses.fields(found)}
    settings = {key: _frozen(value) for key, value in table.items() if key != "kind"}
    refuse_unknown(settings, tuple(fields), where)
    missing = [
        name
        for name, field in fields.items()
        if name not in settings
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise TaskError("missing_key", f"{where} lacks the key {missing[0]!r}; add it")
    if "geometry" in settings:
        settings["geometry"] = _geometry(settings["geometry"], where)
    for key, value in settings.items():
        _refuse_other_type(key, value, fields[key].default, where)
    return found(**settings)  # type: ignore[no-any-return]


def _geometry(table: object, where: str) -> object:
    from steelyard.tasks.sources.geometry import Geometry

    if not isinstance(table, dict):
        raise TaskError("invalid_task", f"{where}: geometry is {table!r}; write it as a table [source.geometry]")
    refuse_unknown(table, tuple(field.name for field in dataclasses.fields(Geometry)), f"{where}.geometry")
    return Geometry(**table)


def _refuse_other_type(key: str, value: object, default: object, where: str) -> None:
    """Refuse a value of another type than the default's: a text for a number, say."""
    if default is dataclasses.MISSING or not isinstance(default, bool | int | float | str | tuple):
        return
    fits = isinstance(value, bool) == isinstance(default, bool) and (
        isinstance(value, int | float) if isinstance(default, float) else isinstance(value, type(default))
    )
    if not fits:
        raise TaskError("invalid_setting", f"{where}: {key} is {value!r}; write a value like {default!r}")


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(one) for one in value)
    return {key: _frozen(one) for key, one in value.items()} if isinstance(value, dict) else value
