"""Messages as plain documents for ``--json``: dictionaries, lists, numbers, strings and null."""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

SCHEMA_VERSION = 1


def document(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``payload`` under its schema version and kind; refuses keys that would hide those two."""
    taken = {"schema_version", "kind"} & payload.keys()
    if taken:
        raise ValueError(f"the payload of {kind!r} brings {sorted(taken)} of its own; name these keys otherwise")
    return {"schema_version": SCHEMA_VERSION, "kind": kind, **payload}


def to_plain(message: Message) -> dict[str, Any]:
    """Return a message as JSON-ready data.

    Keys are the field names in snake case, and all of them are there. Integers stay integers (64 bits as well). Enums
    are their names without the type's prefix ("RECORDED"); a number that this version does not know stays a number.
    Fields with presence that are unset are null. Timestamps are ISO 8601 in UTC, with nanoseconds where they have any.
    Bytes are base64. Floats that JSON has no number for are "NaN", "Infinity", "-Infinity".
    """
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def _field(message: Message, field: Any) -> Any:
    if field.has_presence and not message.HasField(field.name):
        return None
    value = getattr(message, field.name)
    if isinstance(value, Mapping):
        # A map is a list of entries on the wire; their type holds that of the values.
        value_field = field.message_type.fields_by_name["value"]
        return {str(key): _value(value[key], value_field) for key in sorted(value)}
    # Told by the value: descriptors say "repeated" in another way with every major of protobuf.
    if isinstance(value, str | bytes | int | float | Message):
        return _value(value, field)
    return [_value(one, field) for one in value]


def _value(value: Any, field: Any) -> Any:
    if isinstance(value, timestamp_pb2.Timestamp):
        return _timestamp(value)
    if isinstance(value, Message):
        return to_plain(value)
    if field.enum_type is not None:
        return _enum_name(value, field.enum_type)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _enum_name(number: int, enum: EnumDescriptor) -> str | int:
    known = enum.values_by_number.get(number)
    if known is None:
        return number
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    return str(known.name).removeprefix(prefix)


def _timestamp(value: timestamp_pb2.Timestamp) -> str | None:
    # Seconds outside the years 1 to 9999 break the format's own rule; they come from a broken clock, and are unknown.
    try:
        whole = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=value.seconds)  # noqa: DTZ001 - UTC by name
    except OverflowError:
        return None
    fraction = f".{value.nanos:09d}" if value.nanos else ""
    return f"{whole.isoformat()}{fraction}Z"
