"""Fewer bytes on the wire: blobs compressed, or as a delta to one that the device holds. See docs/decisions/0025.

Everything here reads disks and compresses: call it from a thread, never on the event loop.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from steelyard.errors import SteelyardError
from steelyard.store.blobs import BlobStore
from steelyard_protocol.v1 import blob_pb2

STORED: Final = blob_pb2.BLOB_ENCODING_UNSPECIFIED
ZSTD: Final = blob_pb2.BLOB_ENCODING_ZSTD
DELTA: Final = blob_pb2.BLOB_ENCODING_ZSTD_DELTA

_LEVEL: Final = 1
# Float weights stay above it at every level; what is below pays for its processor time on any link.
_COMPRESSED_PAYS_BELOW: Final = 0.95
# A delta holds its base in memory on both sides: for less than a tenth fewer bytes that is not worth it.
_DELTA_PAYS_BELOW: Final = 0.9
_SAMPLE_COUNT: Final = 8
_SAMPLE_BYTES: Final = 64 * 1024
_LEAST_BYTES: Final = 16 * 1024
# Base and blob; an agent offers only what its memory bears.
MOST_DELTA_BYTES: Final = 64 * 1024 * 1024
_MOST_BASES_TRIED: Final = 3
_SMALLEST_WINDOW_LOG: Final = 10
_KNOWN_SHARES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a blob is sent; ``base_digest`` names the base of a delta, "" otherwise."""

    kind: blob_pb2.BlobEncoding.ValueType = STORED
    base_digest: str = ""

    def __post_init__(self) -> None:
        """Refuse a delta to nothing, and a base of something else."""
        if (self.kind == DELTA) != bool(self.base_digest):
            raise ValueError(f"encoding {self.kind} with base {self.base_digest!r} makes no sense")


class Encoder:
    """Compresses the bytes of one blob, or of its rest, chunk by chunk; what comes out decodes chunk by chunk."""

    def __init__(self, size_bytes: int, base: bytes = b"") -> None:
        """Begin a frame over ``size_bytes`` to come, with ``base`` before it on the other side."""
        zstd = _zstd()
        names = zstd.CompressionParameter
        options = {names.compression_level: _LEVEL, names.content_size_flag: 0}
        if base:
            # The window spans both: a weight is found again however far its neighbours moved.
            options[names.window_log] = window_log(len(base) + size_bytes)
            options[names.enable_long_distance_matching] = 1
        prefix = zstd.ZstdDict(base, is_raw=True).as_prefix if base else None
        self._compressor = zstd.ZstdCompressor(options=options, zstd_dict=prefix)
        self._flush = zstd.ZstdCompressor.FLUSH_BLOCK

    def encode(self, chunk: bytes) -> bytes:
        """Return all that the other side needs to have ``chunk``."""
        return bytes(self._compressor.compress(chunk, self._flush))

    def encode_all(self, chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
        """Yield each chunk encoded; closes ``chunks`` at its end."""
        with closing(chunks):
            for chunk in chunks:
                yield self.encode(chunk)


class EncodingChooser:
    """Finds out what pays, once for each blob and pair of blobs. For several threads."""

    def __init__(self, blobs: BlobStore) -> None:
        """Read from ``blobs``."""
        self._blobs = blobs
        self._lock = threading.Lock()
        # Of a blob's bytes, what has to be sent: by digest and base.
        self._shares: OrderedDict[tuple[str, str], float] = OrderedDict()

    def choose(
        self, digest: str, accepted: Sequence[blob_pb2.BlobEncoding.ValueType], bases: Sequence[str]
    ) -> Encoding:
        """Return the best encoding among those that are accepted; ``bases`` the most promising first.

        Raises:
            SteelyardError: The blob cannot be read.
        """
        size_bytes = self._blobs.size(digest)
        if size_bytes < _LEAST_BYTES:
            return Encoding()
        plain = self._share(digest, "", lambda: self._sampled(digest, size_bytes)) if ZSTD in accepted else 1.0
        best, share = Encoding(), 1.0
        if plain <= _COMPRESSED_PAYS_BELOW:
            best, share = Encoding(kind=ZSTD), plain
        if DELTA in accepted and size_bytes <= MOST_DELTA_BYTES:
            for base_digest in bases[:_MOST_BASES_TRIED]:
                found = self._share(digest, base_digest, partial(self._against, digest, base_digest))
                if found < min(share, 1.0) * (_DELTA_PAYS_BELOW if best.kind != DELTA else 1.0):
                    best, share = Encoding(kind=DELTA, base_digest=base_digest), found
        return best

    def sending(
        self, digest: str, accepted: Sequence[blob_pb2.BlobEncoding.ValueType], bases: Sequence[str]
    ) -> Sending:
        """Choose, and read the base of a delta; as it is where that is gone. Raises as ``choose``."""
        encoding = self.choose(digest, accepted, bases)
        if encoding.kind != DELTA:
            return Sending(encoding=encoding)
        try:
            return Sending(encoding=encoding, base=self._blobs.read_bytes(encoding.base_digest))
        except SteelyardError:
            return Sending(encoding=Encoding())

    def _share(self, digest: str, base_digest: str, measure: Callable[[], float]) -> float:
        key = (digest, base_digest)
        with self._lock:
            known = self._shares.get(key)
        if known is None:
            known = measure()
            with self._lock:
                self._shares[key] = known
                while len(self._shares) > _KNOWN_SHARES:
                    self._shares.popitem(last=False)
        return known

    def _sampled(self, digest: str, size_bytes: int) -> float:
        """Compress pieces from all over the blob: its head says nothing of its weights."""
        taken = sent = 0
        for number in range(_SAMPLE_COUNT):
            offset = number * max(0, size_bytes - _SAMPLE_BYTES) // (_SAMPLE_COUNT - 1)
            with closing(self._blobs.open(digest, offset, lambda: _SAMPLE_BYTES)) as chunks:
                piece = next(chunks)
            taken += len(piece)
            # Each by itself: pieces of a small blob overlap, and would be found in one another.
            sent += len(Encoder(len(piece)).encode(piece))
        return sent / taken

    def _against(self, digest: str, base_digest: str) -> float:
        """Compress all of it: where a variant resembles its parent, no sample tells."""
        try:
            base = self._blobs.read_bytes(base_digest)
        except SteelyardError:
            # The device holds what is gone here.
            return 1.0
        if not 0 < len(base) <= MOST_DELTA_BYTES:
            return 1.0
        size_bytes = self._blobs.size(digest)
        encoder = Encoder(size_bytes, base)
        return sum(len(part) for part in encoder.encode_all(self._blobs.open(digest))) / size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How one download goes over the wire, with the bytes of the base where there is one."""

    encoding: Encoding
    base: bytes = b""

    def chunks(self, chunks: Generator[bytes, None, None], size_bytes: int) -> Generator[bytes, None, None]:
        """Return the chunks, ``size_bytes`` in all, as they go over the wire."""
        if self.encoding.kind == STORED:
            return chunks
        return Encoder(size_bytes, self.base).encode_all(chunks)


def window_log(span_bytes: int) -> int:
    """Return the logarithm of the smallest window that spans so many bytes."""
    return max(_SMALLEST_WINDOW_LOG, (span_bytes - 1).bit_length())


def _zstd() -> Any:
    # Python's own from 3.14 on, and the same one backported.
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
