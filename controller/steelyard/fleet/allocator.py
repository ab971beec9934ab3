"""Tells glibc's allocator to keep what chunks of blobs were in: each would be mapped and unmapped otherwise.

With it a transfer took two thirds of the processor time (docs/decisions/transport.md). See also
steelyard_agent.link.allocator.
"""

from __future__ import annotations

import sys
from typing import Final

# malloc.h: parameters of mallopt.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
# Above every chunk and its message.
_MMAP_THRESHOLD_BYTES: Final = 4 * 1024 * 1024
_TRIM_THRESHOLD_BYTES: Final = 8 * 1024 * 1024


def tune_allocator() -> bool:
    """Tune this process, at once and for good; return False, and change nothing, where the C library is not glibc."""
    if sys.platform != "linux":
        return False
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        # musl and Bionic: the latter has a mallopt whose parameters mean something else.
        return False
    trimmed = library.mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)
    mapped = library.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
    return bool(trimmed and mapped)
