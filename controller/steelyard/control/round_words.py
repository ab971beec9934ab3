"""Whether the words and numbers of a round that a device sent can be some: known kinds, texts of a length, no NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

# Agents cut messages of runtimes to some hundreds of characters; the longest text that is whole is the name of a fused
# layer, which lists its parts. Reports and terminals show texts as they are.
_LONGEST_TEXT = 16_384
_LOOKED_AT = frozenset(
    {
        FieldDescriptor.TYPE_ENUM,
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_DOUBLE,
        FieldDescriptor.TYPE_MESSAGE,
    }
)


def nonsense_words(message: Message) -> Iterator[str]:
    """Yield the texts that are too long and the numbers that are none, in a message and all below it."""
    for field, value in _values(message):
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            yield f"{field.name} {value[:40]!r}... of {len(value)} characters, more than {_LONGEST_TEXT}"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{field.name} {value}"


def unknown_kinds(message: Message) -> Iterator[str]:
    """Yield "status 99" for each value of an enum that this version does not know, in a message and all below it."""
    for field, value in _values(message):
        if field.enum_type is not None and value not in field.enum_type.values_by_number:
            yield f"{field.name} {value}"


def _values(message: Message) -> Iterator[tuple[FieldDescriptor, object]]:
    """Yield each text, float and kind of a message and of those in it, with its field; whole numbers are left out."""
    for field, value in message.ListFields():
        if field.type not in _LOOKED_AT:
            continue
        for one in [value] if isinstance(value, (str, int, float, Message)) else value:
            if isinstance(one, Message):
                yield from _values(one)
            else:
                yield field, one
