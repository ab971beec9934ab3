"""The document of a night to JSON and back: field by field, by the dataclasses' own types."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from steelyard.errors import UsageError
from steelyard.nightly.night_report import SCHEMA_VERSION, NightReport

_T = TypeVar("_T")


def to_json(report: NightReport) -> str:
    """Return the document as JSON; enums by their values, tuples as lists."""
    return json.dumps(plain(report), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> NightReport:
    """Return the document that ``to_json`` wrote.

    Raises:
        UsageError: ``bad_night_report``: it is none, or of a newer version.
    """
    try:
        return made(NightReport, _of_this_version(json.loads(text)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError("bad_night_report", f"this is no report of a night that can be read: {error}") from error


def _of_this_version(values: Any) -> Any:
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(f"its schema_version is {version!r}, this Steelyard reads {SCHEMA_VERSION}")
    return values


def plain(value: object) -> Any:
    """Return dataclasses as dicts, enums as their values, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def made(kind: type[_T], values: Any) -> _T:
    """Return an object of a frozen dataclass from what ``plain`` returned; keys that it does not know are refused.

    Raises:
        ValueError: A value is not one that its field takes.
        TypeError: A value is not of its field's type, or a key is not known or missing.
    """
    result: _T = _read(kind, values, kind.__name__)
    return result


def _read(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise TypeError(f"{where} is {value!r}, not a table")
        hints = _hints(typing.cast("type", kind))
        unknown = sorted(value.keys() - hints.keys())
        if unknown:
            raise TypeError(f"{where} has no field {unknown[0]!r}")
        return kind(**{name: _read(hints[name], one, f"{where}.{name}") for name, one in value.items()})  # type: ignore[operator]
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        inner = [one for one in typing.get_args(kind) if one is not type(None)]
        return None if value is None else _read(inner[0], value, where)
    if origin is tuple:
        return _read_tuple(typing.get_args(kind), value, where)
    return _read_scalar(kind, value, where)


def _read_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{where} is {value!r}, not a list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_read(kinds[0], one, f"{where}[{index}]") for index, one in enumerate(value))
    if len(kinds) != len(value):
        raise ValueError(f"{where} holds {len(value)} values, not {len(kinds)}")
    return tuple(
        _read(kind, one, f"{where}[{index}]") for index, (kind, one) in enumerate(zip(kinds, value, strict=True))
    )


def _read_scalar(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{where} is {value!r}, not {kind.__name__}")
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
