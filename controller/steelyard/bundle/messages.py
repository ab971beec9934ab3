"""Whole messages as JSON members and back: what a person can read, and nothing is left out."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from steelyard.bundle.errors import BundleError

_Message = TypeVar("_Message", bound=Message)
# Measurements are nested a dozen deep.
_MOST_NESTED = 50


def to_json(message: Message) -> bytes:
    """Return a message as JSON (protobuf's mapping, field names as in the .proto); equal messages give equal bytes."""
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, indent=1, sort_keys=True, ensure_ascii=False
    )
    return f"{text}\n".encode()


def from_json(kind: type[_Message], content: bytes, name: str) -> tuple[_Message, bool]:
    """Return the message of a member, and whether it held fields that this version does not know.

    Raises:
        BundleError: ``bad_message``: it is no such message.
    """
    try:
        return _parse(kind, content, ignores_unknown=False), False
    except BundleError:
        pass
    try:
        return _parse(kind, content, ignores_unknown=True), True
    except BundleError as error:
        raise BundleError("bad_message", f"{name} is no {kind.DESCRIPTOR.name}: {error}") from error


def _parse(kind: type[_Message], content: bytes, *, ignores_unknown: bool) -> _Message:
    if not content.lstrip().startswith(b"{"):
        # The library takes an empty list for an empty message.
        raise BundleError("bad_message", "it is no JSON object")
    try:
        return json_format.Parse(
            content, kind(), ignore_unknown_fields=ignores_unknown, max_recursion_depth=_MOST_NESTED
        )
    # The library means to raise ParseError alone, but hostile values reach its conversions.
    except (json_format.ParseError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise BundleError("bad_message", str(error)[:200] or type(error).__name__) from error
