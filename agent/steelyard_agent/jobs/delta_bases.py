"""Blobs of the cache that a new one may be a delta to, as far as this device's memory bears it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from steelyard_agent.state.blob_cache import BlobCache

# Smaller ones travel faster than a delta is thought of; larger ones the controller does not compare.
_LEAST_BYTES = 64 * 1024
_MOST_BYTES = 64 * 1024 * 1024
_MOST_OFFERED = 32
# A transfer takes so much of the memory that is available.
_SHARE_OF_MEMORY = 4


def available_memory_bytes() -> int:
    """Return the memory that programs can have without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaBases:
    """Implements ``steelyard_agent.jobs.port.HeldBlobs`` over a cache."""

    cache: BlobCache
    available_bytes: Callable[[], int] = available_memory_bytes

    def offered(self, size_bytes: int) -> tuple[str, ...]:
        """See ``HeldBlobs``; those that were used last come first."""
        if not _LEAST_BYTES <= size_bytes <= _MOST_BYTES:
            return ()
        most_bytes = self.available_bytes() // _SHARE_OF_MEMORY
        fitting = [
            digest
            for digest, held_bytes in self.cache.recently_used()
            if _LEAST_BYTES <= held_bytes <= _MOST_BYTES and _needed_bytes(held_bytes, size_bytes) <= most_bytes
        ]
        return tuple(fitting[:_MOST_OFFERED])

    def content(self, digest: str) -> bytes | None:
        """See ``HeldBlobs``."""
        try:
            content = self.cache.path(digest).read_bytes()
        except (OSError, ValueError):
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None


def _needed_bytes(base_bytes: int, size_bytes: int) -> int:
    """The base, and the decoder's window, which is a power of two that spans base and blob."""
    return base_bytes + (1 << (base_bytes + size_bytes - 1).bit_length())
