"""Strategies of what nobody should send: damaged files, values of the wrong kind, valid messages that are absurd.

Built from one source of chance each, so that a strategy is small however deep its values are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

T = TypeVar("T")
M = TypeVar("M", bound=Message)
# Texts that mean something to the other side, by the name of the field that they belong in.
Words = Mapping[str, Sequence[str]]

ODD_TEXTS = (
    *("", " ", ".", "..", "/", "../../etc/passwd", "\0", "a\nb", "\x1b[31m", "-", "--help", "%s%n", "{0}", "'; --"),
    *("é" * 40, "\u202e", "\U0001f600", "local", "tag:", "pool:", "NaN", "1e400", "x" * 5000),
    *("0" * 64, "f" * 63 + "g", "0" * 32, "00000000-0000-0000-0000-000000000000", "unix:/nowhere", "[]", '{"a":'),
)
ODD_NUMBERS = (0, 1, -1, 2, 7, 255, 2**16, 2**31 - 1, -(2**31), 2**32 - 1, 2**53, 2**63 - 1, -(2**63), 2**64 - 1)
ODD_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"))
_HUGE = (2**63, 2**64, 10**30, -(10**30))

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_MAX_DEPTH = 4
_PIECES = (
    b"\0" * 8,
    b"\xff" * 8,
    b"\xff\xff\xff\x7f",
    b"9" * 40,
    b"[" * 2000,
    b"nan",
    b"-1",
    b"1e999",
    b"\r\n",
    b"\xc3",
)
_KEYS = ("kind", "name", "path", "steps", "Power", "value", "schema_version")


def by_chance(make: Callable[[Random], T]) -> st.SearchStrategy[T]:
    """Return what ``make`` makes of a source of chance that Hypothesis steers."""
    return st.randoms(use_true_random=False).map(make)


def damaged(whole: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return files that were good once: cut, with changed, lost or repeated pieces; and a few that never were."""

    def make(random: Random) -> bytes:
        if random.random() < 0.1:
            return random.randbytes(random.randint(0, 200))
        content = random.choice(whole)
        for _ in range(random.randint(1, 4)):
            content = _edited(content, random)
        return content

    return by_chance(make)


def _edited(content: bytes, random: Random) -> bytes:
    low, high = sorted((random.randint(0, len(content)), random.randint(0, len(content))))
    kind = random.choice(("put", "put", "put", "insert", "cut", "end", "repeat"))
    piece = random.choice(_PIECES) if random.random() < 0.5 else random.randbytes(random.randint(1, 4))
    if kind == "put":
        return content[:low] + piece + content[low + len(piece) :]
    if kind == "insert":
        return content[:low] + piece + content[low:]
    if kind == "cut":
        return content[:low] + content[high:]
    if kind == "end":
        return content[:low]
    return content[:high] + content[low:] if len(content) < 1_000_000 else content


def odd_json() -> st.SearchStrategy[Any]:
    """Return values as JSON and TOML have them."""
    return by_chance(lambda random: _odd(random, 3))


def _odd(random: Random, depth: int) -> Any:
    kind = random.random()
    if depth and kind < 0.15:
        return [_odd(random, depth - 1) for _ in range(random.randint(0, 3))]
    if depth and kind < 0.3:
        return {random.choice((*_KEYS, *ODD_TEXTS)): _odd(random, depth - 1) for _ in range(random.randint(0, 3))}
    return random.choice(random.choice((ODD_TEXTS, (*ODD_NUMBERS, *_HUGE), ODD_FLOATS, (True, False, None))))


def changed(*documents: Any) -> st.SearchStrategy[Any]:
    """Return one of these documents in which something, at whatever depth, is another value, or missing."""

    def make(random: Random) -> Any:
        document = json.loads(json.dumps(random.choice(documents)))
        for _ in range(random.randint(1, 3)):
            _change(document, random)
        return document

    return by_chance(make)


def _change(at: Any, random: Random) -> None:
    while keys := list(at) if isinstance(at, dict) else list(range(len(at))) if isinstance(at, list) else []:
        key = random.choice(keys)
        if isinstance(at[key], dict | list) and at[key] and random.random() < 0.7:
            at = at[key]
        elif random.random() < 0.2:
            del at[key]
            return
        else:
            at[key] = _odd(random, 2)
            return


def to_toml(document: Mapping[str, Any]) -> str:
    """Write a document as TOML; what TOML has no word for (null) is left out."""
    return "\n".join(f"{json.dumps(str(key))} = {_toml(one)}" for key, one in document.items() if one is not None)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value if one is not None) + "]"
    return str(value) if isinstance(value, float) else json.dumps(value)


def messages(kind: type[M], words: Words = MappingProxyType({})) -> st.SearchStrategy[M]:
    """Return messages whose bytes are valid and whose values need not be; ``words`` mean something there."""
    return by_chance(lambda random: make_message(kind, random, words))


def make_message(kind: type[M], random: Random, words: Words = MappingProxyType({}), depth: int = _MAX_DEPTH) -> M:
    """Return one of ``messages``."""
    message = kind()
    fill(message, random, words, depth)
    return message


def fill(message: Message, random: Random, words: Words = MappingProxyType({}), depth: int = _MAX_DEPTH) -> None:
    """Set some fields of a message to odd values, the fields of the messages in it as well."""
    for field in message.DESCRIPTOR.fields:
        if random.random() < 0.5 and (field.message_type is None or depth > 0):
            _set(message, field, random, words, depth)


def _set(message: Message, field: FieldDescriptor, random: Random, words: Words, depth: int) -> None:
    held = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _fill_map(held, field.message_type.fields_by_name["value"], random, words)
    elif field.message_type is not None and field.is_repeated:
        for _ in range(random.randint(0, 3)):
            fill(held.add(), random, words, depth - 1)
    elif field.message_type is not None:
        held.SetInParent()
        fill(held, random, words, depth - 1)
    elif field.is_repeated:
        held.extend(_plain(field, random, words) for _ in range(random.randint(0, 3)))
    else:
        setattr(message, field.name, _plain(field, random, words))


def spoilt(message: M, random: Random, words: Words = MappingProxyType({})) -> M:
    """Return a copy in which a few fields, at whatever depth, hold odd values or nothing."""
    copy = type(message)()
    copy.CopyFrom(message)
    for _ in range(random.randint(1, 3)):
        _spoil(copy, random, words)
    return copy


def _spoil(message: Message, random: Random, words: Words) -> None:
    field, value = random.choice(message.ListFields() or [(None, None)])
    if field is None or random.random() < 0.2:
        field = random.choice(message.DESCRIPTOR.fields)
    elif field.message_type is not None and not field.message_type.GetOptions().map_entry and random.random() < 0.8:
        _spoil(random.choice(value) if field.is_repeated else value, random, words)
        return
    if random.random() < 0.2:
        message.ClearField(field.name)
    else:
        _set(message, field, random, words, 1)


def _fill_map(entries: Any, value: FieldDescriptor, random: Random, words: Words) -> None:
    key = _text(random, ())
    if value.message_type is not None:
        fill(entries[key], random, words, 1)
    else:
        entries[key] = _plain(value, random, words)


def _text(random: Random, meant: Sequence[str]) -> str:
    return random.choice(meant) if meant and random.random() < 0.6 else random.choice(ODD_TEXTS)


def _plain(field: FieldDescriptor, random: Random, words: Words) -> Any:
    if field.cpp_type in _INTEGERS:
        low, high = _INTEGERS[field.cpp_type]
        return random.choice([number for number in ODD_NUMBERS if low <= number <= high])
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        # Enums of proto3 are open: whoever is newer sends numbers that are not known here.
        known = [value.number for value in field.enum_type.values]
        return random.choice(known) if random.random() < 0.8 else random.choice((77, 2**31 - 1, -1))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return random.random() < 0.5
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.randbytes(random.randint(0, 40))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text(random, words.get(field.name, ()))
    return random.choice(ODD_FLOATS)
