"""The JSON Schema of a night's document, made from its dataclasses (draft 2020-12)."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any

from steelyard.nightly.night_report import SCHEMA_VERSION, NightReport


def night_schema() -> dict[str, Any]:
    """Return the schema: every field is required, and no others are allowed."""
    definitions: dict[str, Any] = {}
    root = _table(NightReport, definitions)
    root["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A night of Steelyard",
        "description": "What steelyard writes of a night as JSON; times are UTC in ISO 8601.",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _table(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {
        "type": "object",
        "properties": {field.name: _of(hints[field.name], definitions) for field in dataclasses.fields(kind)},
        "required": [field.name for field in dataclasses.fields(kind)],
        "additionalProperties": False,
    }


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        name = typing.cast("type", kind).__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _table(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_of(one, definitions) for one in inner]}
    if origin is tuple:
        return _array(inner, definitions)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [one.value for one in kind]}
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}[kind]}


def _array(kinds: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return {"type": "array", "items": _of(kinds[0], definitions)}
    places = [_of(one, definitions) for one in kinds]
    return {"type": "array", "prefixItems": places, "items": False, "minItems": len(kinds)}
