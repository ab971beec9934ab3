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
    """Yield what nobody can make sense of in a message and all below it: "status 99, which is not known here"."""
    for field, value in message.ListFields():
        if field.type not in _LOOKED_AT:
            continue
        for one in [value] if isinstance(value, (str, int, float, Message)) else value:
            if isinstance(one, Message):
                yield from nonsense_words(one)
            elif isinstance(one, str):
                if len(one) > _LONGEST_TEXT:
                    yield f"{field.name} {one[:40]!r}... of {len(one)} characters, more than {_LONGEST_TEXT}"
            elif isinstance(one, float):
                if not math.isfinite(one):
                    yield f"{field.name} {one}"
            elif field.enum_type is not None and one not in field.enum_type.values_by_number:
                yield f"{field.name} {one}, which is not known here"
