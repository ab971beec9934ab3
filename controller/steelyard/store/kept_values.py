"""Texts, numbers and times that come over the wire to be kept, checked before they are: one sentence each."""

from __future__ import annotations

import json
import math

from google.protobuf.timestamp_pb2 import Timestamp

from steelyard.errors import UsageError

MAX_JSON_BYTES = 64 * 1024
# Of a column of 32 bits.
LARGEST_COUNT = 2**31 - 1
# The year 2200, well inside of 64 bits.
_LAST_NS = 7_258_118_400 * 10**9


def require_text(text: str, what: str, *, most: int, least: int = 0) -> str:
    """Return ``text`` when it has ``least`` to ``most`` characters and no NUL, which PostgreSQL cannot keep.

    Raises:
        UsageError: ``invalid_text``.
    """
    if not least <= len(text) <= most or "\0" in text:
        raise UsageError(
            "invalid_text",
            f"{what} of {len(text)} characters ({text[:40]!r}) must have {least} to {most}, and no NUL among them",
        )
    return text


def require_json(text: str, what: str) -> str:
    """Return ``text`` when it is a JSON document of at most ``MAX_JSON_BYTES``.

    Raises:
        UsageError: ``invalid_json``.
    """
    size = len(text.encode())
    if size > MAX_JSON_BYTES:
        raise UsageError("invalid_json", f"{what} has {size} bytes of JSON, more than {MAX_JSON_BYTES}; leave some out")
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("invalid_json", f"{what} is no JSON: {str(error)[:200]}") from error
    return text


def require_time(at: Timestamp, what: str) -> int:
    """Return a time as nanoseconds since the epoch, 0 where it is missing (the epoch itself).

    Raises:
        UsageError: ``invalid_time``.
    """
    try:
        found = int(at.ToNanoseconds())
    except ValueError as error:
        raise UsageError("invalid_time", f"{what} is no time: {error}") from error
    if not 0 <= found < _LAST_NS:
        raise UsageError("invalid_time", f"{what}, {found // 10**9} s since 1970, is before 1970 or after 2199")
    return found


def require_count(number: int, what: str, *, least: int = 0) -> int:
    """Return a number when a column holds it.

    Raises:
        UsageError: ``invalid_number``.
    """
    if not least <= number <= LARGEST_COUNT:
        raise UsageError("invalid_number", f"{what} {number} is not between {least} and {LARGEST_COUNT}")
    return number


def require_finite(value: float, what: str) -> float:
    """Return a value when it is finite.

    Raises:
        UsageError: ``invalid_value``.
    """
    if not math.isfinite(value):
        raise UsageError("invalid_value", f"{what} is {value}; what was not measured is left out, with a reason")
    return value
