"""One blob on its way in: its bytes may come in pieces, over several connections and restarts."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from steelyard.errors import UsageError
from steelyard.store.durable import disk_errors, flush_file
from steelyard.store.errors import StoreError

_READ_BYTES = 1024 * 1024

WriteBytes = Callable[[int, memoryview], int]


class Destination(Protocol):
    """Where a finished upload goes, and who is told that it ended."""

    def keep(self, partial: Path, digest: str) -> None:
        """Move a verified and flushed file to its place."""

    def forget(self, upload: Upload) -> None:
        """Take note that the upload has let go of its file."""


class Upload:
    """Bytes of one digest from one sender, appended to a partial file that outlives this object.

    Any thread may call any method. Another upload of the same digest by the same sender supersedes this one: its
    connection was lost, and the old one must not write between the new one's bytes.
    """

    def __init__(
        self,
        partial: Path,
        *,
        digest: str,
        size_bytes: int,
        destination: Destination,
        write: WriteBytes = os.write,
        complete: bool = False,
    ) -> None:
        """Open the partial file and hash what is there; ``complete`` when the blob is already kept."""
        self.digest = digest
        self.size_bytes = size_bytes
        self._partial = partial
        self._destination = destination
        self._write_bytes = write
        self._lock = threading.Lock()
        self._hash = hashlib.sha256()
        self._complete = complete
        self._descriptor: int | None = None
        self._offset = size_bytes if complete else self._resume()

    @property
    def offset(self) -> int:
        """How many bytes are here: the sender goes on from this one."""
        return self._offset

    @property
    def complete(self) -> bool:
        """Whether the blob is kept; nothing is left to send."""
        return self._complete

    def write(self, chunk: bytes) -> int:
        """Append the bytes that follow ``offset`` and return the new offset.

        Raises:
            UsageError: ``too_many_bytes``; nothing of the chunk is kept.
            StoreError: ``disk_full`` (what was written before the chunk stays, to resume), ``blob_io_error``, or
                ``upload_paused`` when it was superseded or paused.
        """
        with self._lock:
            descriptor = self._open_descriptor()
            if self._offset + len(chunk) > self.size_bytes:
                raise UsageError(
                    "too_many_bytes",
                    f"blob {self.digest} was announced with {self.size_bytes} bytes, but {self._offset + len(chunk)} "
                    "came; announce its real size",
                )
            with disk_errors(self._partial.parent):
                self._append(descriptor, memoryview(chunk))
            self._hash.update(chunk)
            self._offset += len(chunk)
            return self._offset

    def finish(self) -> str:
        """Verify all bytes, flush them, move the file to its place, and return the digest.

        Raises:
            UsageError: ``blob_incomplete`` (send the rest) or ``digest_mismatch`` (what was sent is removed).
            StoreError: As ``write``.
        """
        with self._lock:
            if self._complete:
                return self.digest
            descriptor = self._open_descriptor()
            if self._offset != self.size_bytes:
                raise UsageError(
                    "blob_incomplete",
                    f"blob {self.digest} has {self._offset} of its {self.size_bytes} bytes; send the rest",
                )
            if self._hash.hexdigest() != self.digest:
                self._close(remove=True)
                raise UsageError(
                    "digest_mismatch",
                    f"what was sent as blob {self.digest} is {self._hash.hexdigest()}; it was changed on the way or "
                    "while it was read: send it again from the start",
                )
            with disk_errors(self._partial.parent):
                flush_file(descriptor)
                self._destination.keep(self._partial, self.digest)
            self._complete = True
            self._close()
            return self.digest

    def pause(self) -> None:
        """Let go of the partial file, which stays for a later ``begin``. A second time does nothing."""
        with self._lock:
            self._close()

    def discard(self) -> None:
        """Remove what arrived."""
        with self._lock:
            self._close(remove=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()

    def _resume(self) -> int:
        with disk_errors(self._partial.parent):
            descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                offset = self._hash_kept(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
            return offset

    def _hash_kept(self, descriptor: int) -> int:
        if os.fstat(descriptor).st_size > self.size_bytes:
            # Left by a sender that announced another size; it cannot be of this blob.
            os.ftruncate(descriptor, 0)
        offset = 0
        while chunk := os.pread(descriptor, _READ_BYTES, offset):
            self._hash.update(chunk)
            offset += len(chunk)
        return offset

    def _append(self, descriptor: int, chunk: memoryview) -> None:
        try:
            while chunk:
                chunk = chunk[self._write_bytes(descriptor, chunk) :]
        except OSError:
            # Half a chunk is on the disk but in no hash; giving space back needs none.
            os.ftruncate(descriptor, self._offset)
            raise

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise StoreError(
                "upload_paused", f"the upload of blob {self.digest} went on in another connection, or was paused"
            )
        return self._descriptor

    def _close(self, *, remove: bool = False) -> None:
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        if remove:
            self._partial.unlink(missing_ok=True)
        self._destination.forget(self)
