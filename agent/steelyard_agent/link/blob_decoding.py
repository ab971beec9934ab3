"""What comes over the wire becomes a blob's bytes again: as much as was announced, and not a byte more."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from steelyard_agent.errors import AgentError
from steelyard_protocol.v1 import blob_pb2

STORED: Final = blob_pb2.BLOB_ENCODING_UNSPECIFIED
ZSTD: Final = blob_pb2.BLOB_ENCODING_ZSTD
DELTA: Final = blob_pb2.BLOB_ENCODING_ZSTD_DELTA

# However small the chunk that it comes from: what is in memory at a time.
_PIECE_BYTES: Final = 512 * 1024
# Without a base the controller's frames need 512 KiB; a frame that asks for more is not one of those.
_PLAIN_WINDOW_LOG: Final = 22
_SMALLEST_WINDOW_LOG: Final = 10


class UndecodableError(AgentError):
    """What came is not what was announced; the blob can still be asked for as it is."""

    def __init__(self, message: str) -> None:
        super().__init__("undecodable", message)


class Decoder:
    """Decodes the chunks of one download in their order."""

    def __init__(self, left_bytes: int, base: bytes | None = None) -> None:
        """Expect ``left_bytes`` of the blob, encoded with ``base`` as the prefix; None: without one."""
        zstd = _zstd()
        window = _PLAIN_WINDOW_LOG if base is None else window_log(len(base) + left_bytes)
        self._error: type[Exception] = zstd.ZstdError
        self._decompressor = zstd.ZstdDecompressor(
            zstd_dict=None if base is None else zstd.ZstdDict(base, is_raw=True).as_prefix,
            options={zstd.DecompressionParameter.window_log_max: max(window, _PLAIN_WINDOW_LOG)},
        )
        self._left_bytes = left_bytes

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk holds, in pieces of half a megabyte at most.

        Raises:
            UndecodableError: It holds more than was announced (a decompression bomb), or is damaged.
        """
        while chunk or not self._decompressor.needs_input:
            try:
                # One byte more than may come, to tell that there is one.
                piece = self._decompressor.decompress(chunk, min(_PIECE_BYTES, self._left_bytes + 1))
            except (self._error, EOFError) as error:
                raise UndecodableError(f"a chunk cannot be decoded ({error})") from error
            chunk = b""
            self._left_bytes -= len(piece)
            if self._left_bytes < 0:
                raise UndecodableError("a chunk holds more bytes than the blob has")
            if piece:
                yield piece
            if self._decompressor.eof:
                return


@cache
def can_decode() -> bool:
    """Tell whether this Python has Zstandard; imports it."""
    try:
        _zstd()
    except ImportError:
        return False
    return True


def window_log(span_bytes: int) -> int:
    """Return the logarithm of the smallest window that spans so many bytes; see steelyard.fleet.blob_encoding."""
    return max(_SMALLEST_WINDOW_LOG, (span_bytes - 1).bit_length())


def _zstd() -> Any:
    # Python's own from 3.14 on, and the same one backported.
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
