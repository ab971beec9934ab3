"""Files that are on the disk when we say so, and a full disk as a sentence."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.store.errors import StoreError

# Kept free for the database, whose log must still take the record of a result after the result's bytes.
RESERVE_BYTES = 64 * 1024 * 1024

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def flush_file(descriptor: int) -> None:
    """Return once the bytes of the open file are on the disk."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        # On macOS fsync leaves the data in the drive's cache (fsync(2) there).
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:
            # Network and foreign file systems do not know it; fsync is what they have.
            os.fsync(descriptor)
        return
    os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Return once the names in ``folder`` are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_free_bytes(folder: Path, needed_bytes: int, free_bytes: int) -> None:
    """Refuse to begin what would leave less than the reserve free.

    Raises:
        StoreError: ``disk_full``; the sentence names what is needed and what is free.
    """
    if needed_bytes > 0 and free_bytes - needed_bytes < RESERVE_BYTES:
        raise StoreError(
            "disk_full",
            f"{needed_bytes} bytes and a reserve of {RESERVE_BYTES} do not fit into {folder}, where {free_bytes} are "
            "free; free space on its disk, or name another state directory",
        )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn an ``OSError`` into a ``StoreError``: ``disk_full`` or ``blob_io_error``, naming the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            sentence = (
                f"the disk of {folder} is full; free space on it and try again, an upload goes on where it stopped"
            )
            raise StoreError("disk_full", sentence) from error
        sentence = f"{folder} failed ({error.strerror or error}); check that it is there and writable for this user"
        raise StoreError("blob_io_error", sentence) from error
