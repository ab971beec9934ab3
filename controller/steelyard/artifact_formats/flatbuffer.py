"""Read a flatbuffer without trusting it: every offset is checked against the buffer before it is followed.

Layout from the FlatBuffers internals document (flatbuffers.dev/internals): a table begins with a signed offset back to
its vtable, the vtable with its own size and the table's size in uint16, then one uint16 a field (0: absent). Offsets to
strings, vectors and tables are uint32, relative to where they stand; a vector begins with its uint32 length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_NAME_BYTES = 4096


class MalformedFlatbufferError(ValueError):
    """An offset or a length that leads out of the buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table at a byte position of a buffer."""

    buffer: bytes
    position: int

    def __post_init__(self) -> None:
        """Refuse a table that does not lie in the buffer with its vtable and all its fields."""
        vtable = self.position - _scalar(self.buffer, "i", self.position)
        size = _scalar(self.buffer, "H", vtable)
        if size < 4 or vtable + size > len(self.buffer):
            raise MalformedFlatbufferError(f"the vtable at byte {vtable} has the size {size}")
        if self.position + _scalar(self.buffer, "H", vtable + 2) > len(self.buffer):
            raise MalformedFlatbufferError(f"the table at byte {self.position} leads past {len(self.buffer)} bytes")

    def scalar(self, field: int, code: str, default: int) -> int:
        """Return the integer in ``field`` (``code``: a `struct` letter), or ``default`` when it is absent."""
        place = self._place(field)
        return default if place is None else _scalar(self.buffer, code, place)

    def text(self, field: int) -> str:
        """Return the string in ``field``, "" when it is absent."""
        place = self._place(field)
        if place is None:
            return ""
        start, count = _vector(self.buffer, place, item_size_bytes=1)
        if count > _MAX_NAME_BYTES:
            raise MalformedFlatbufferError(f"a name of {count} bytes")
        return self.buffer[start : start + count].decode("utf-8")

    def integers(self, field: int, *, max_count: int) -> tuple[int, ...] | None:
        """Return the int32 vector in ``field``, or None when it is absent."""
        place = self._place(field)
        if place is None:
            return None
        start, count = _vector(self.buffer, place, item_size_bytes=4)
        if count > max_count:
            raise MalformedFlatbufferError(f"a vector of {count} integers where {max_count} are the most")
        return struct.unpack_from(f"<{count}i", self.buffer, start)

    def byte_count(self, field: int) -> int:
        """Return the length of the byte vector in ``field``, which lies wholly in the buffer; 0 when it is absent."""
        place = self._place(field)
        return 0 if place is None else _vector(self.buffer, place, item_size_bytes=1)[1]

    def tables(self, field: int, *, max_count: int) -> Iterator[Table]:
        """Yield the tables of the vector in ``field``."""
        place = self._place(field)
        if place is None:
            return
        start, count = _vector(self.buffer, place, item_size_bytes=4)
        if count > max_count:
            raise MalformedFlatbufferError(f"a vector of {count} tables where {max_count} are the most")
        for item in range(start, start + 4 * count, 4):
            yield Table(buffer=self.buffer, position=item + _scalar(self.buffer, "I", item))

    def _place(self, field: int) -> int | None:
        vtable = self.position - _scalar(self.buffer, "i", self.position)
        slot = 4 + 2 * field
        if slot + 2 > _scalar(self.buffer, "H", vtable):
            return None
        offset = _scalar(self.buffer, "H", vtable + slot)
        return self.position + offset if offset else None


def root_table(buffer: bytes) -> Table:
    """Return the root table of a flatbuffer.

    Raises:
        MalformedFlatbufferError: the root does not lie in the buffer.
    """
    return Table(buffer=buffer, position=_scalar(buffer, "I", 0))


def _scalar(buffer: bytes, code: str, position: int) -> int:
    size = struct.calcsize("<" + code)
    if not 0 <= position <= len(buffer) - size:
        raise MalformedFlatbufferError(f"byte {position} is outside of the {len(buffer)} bytes there are")
    value: int = struct.unpack_from("<" + code, buffer, position)[0]
    return value


def _vector(buffer: bytes, place: int, *, item_size_bytes: int) -> tuple[int, int]:
    position = place + _scalar(buffer, "I", place)
    count = _scalar(buffer, "I", position)
    if position + 4 + count * item_size_bytes > len(buffer):
        raise MalformedFlatbufferError(f"a vector of {count} at byte {position} leads past {len(buffer)} bytes")
    return position + 4, count
