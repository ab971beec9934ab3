"""Bytes by the SHA-256 of their content, in a folder: ``aa/bb/DIGEST``, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from steelyard.errors import NotFoundError, UsageError
from steelyard.store.durable import disk_errors, flush_file, flush_folder, require_free_bytes
from steelyard.store.errors import StoreError
from steelyard.store.names import is_digest, require_digest
from steelyard.store.upload import Upload, WriteBytes

CHUNK_BYTES = 256 * 1024

# A partial file that nobody went on with for so long belongs to a sender that will not come back.
_ABANDONED_S = 7 * 24 * 3600

# Whoever asks for a blob may be about to name it in the store: asking makes it young again, so that ``sweep`` leaves
# it. Not at each question, which would write an inode each time: a blob's age may be wrong by this much.
RENEW_S = 600.0


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class BlobStore:
    """A content-addressed folder for the threads of one process. A digest is checked before it becomes a path.

    Partial files lie in ``partial``, blobs that no longer are what their name says in ``damaged``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        free_bytes: Callable[[Path], int] = _free_bytes,
        write: WriteBytes = os.write,
        clock_s: Callable[[], float] = time.time,
        read_only: bool = False,
    ) -> None:
        """Open the folder, or make it (0700), and drop partial files that were abandoned a week ago.

        Args:
            folder: Where the blobs lie.
            free_bytes: Says how many bytes are free on the disk of a folder.
            write: Writes some bytes to a descriptor and says how many, as ``os.write``.
            clock_s: Seconds since the epoch, by which blobs age.
            read_only: Leave the folder as it is, for a program beside the one that it belongs to.

        Raises:
            StoreError: ``blob_io_error``.
        """
        self.folder = folder
        self._clock_s = clock_s
        # Between looking at a blob's age and removing it nobody may ask for it.
        self._sweep_lock = threading.Lock()
        self._partials = folder / "partial"
        self._free_bytes = free_bytes
        self._write = write
        self._lock = threading.Lock()
        # Two openings of one partial file must not overlap; hashing what one holds must not stop all the others.
        self._begin_locks = [threading.Lock() for _ in range(16)]
        self._uploads: dict[Path, Upload] = {}
        self._puts: set[Path] = set()
        if read_only:
            return
        with disk_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._partials.mkdir(mode=0o700, exist_ok=True)
            self.drop_abandoned()

    def put_bytes(self, content: bytes) -> str:
        """Keep ``content`` and return its digest.

        Raises:
            StoreError: ``disk_full`` or ``blob_io_error``.
        """
        digest = hashlib.sha256(content).hexdigest()
        return digest if self.has(digest) else self._put([content], len(content))

    def put_file(self, source: Path) -> str:
        """Keep a copy of a file and return the digest of what was copied.

        Raises:
            UsageError: ``file_unreadable``.
            StoreError: ``disk_full`` or ``blob_io_error``.
        """
        try:
            with source.open("rb") as file:
                # Reads twice, so that what is already kept (a 2 GB model, say) is not written again.
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size_bytes = file.seek(0, os.SEEK_END)
                file.seek(0)
                return digest if self.has(digest) else self._put(iter(lambda: file.read(CHUNK_BYTES), b""), size_bytes)
        except OSError as error:
            raise UsageError(
                "file_unreadable", f"{source} cannot be read ({error.strerror}); check its path"
            ) from error

    def has(self, digest: str) -> bool:
        """Say whether the blob is kept here; one that is does not count as old for a while."""
        return self._renewed(self._place(digest)) is not None

    def path(self, digest: str) -> Path:
        """Return where the blob lies; read it there, never write.

        Raises:
            NotFoundError: ``blob_not_found``.
            UsageError: ``invalid_digest``.
        """
        place = self._place(digest)
        if self._renewed(place) is None:
            raise self._missing(digest)
        return place

    def size(self, digest: str) -> int:
        """Return the blob's size in bytes; raises as ``path``."""
        return self.path(digest).stat().st_size

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob that is kept, in no order; what comes or goes meanwhile may be missed."""
        with suppress(FileNotFoundError):
            for place in self.folder.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
                if is_digest(place.name) and place == self._place(place.name):
                    yield place.name

    def age(self, digest: str) -> tuple[float, int] | None:
        """Return when a blob was last asked for or brought (seconds since the epoch), and its bytes; None for none.

        Does not count as asking for it.
        """
        try:
            found = self._place(digest).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime, found.st_size

    def sweep(self, digest: str, *, before_s: float) -> int:
        """Remove a blob that nobody brought or asked for since ``before_s`` and return its bytes, else 0.

        ``before_s`` (seconds since the epoch) must lie further back than ``RENEW_S``.

        Raises:
            StoreError: ``blob_io_error``.
        """
        place = self._place(digest)
        with self._sweep_lock, disk_errors(self.folder):
            found = self.age(digest)
            if found is None or found[0] >= before_s:
                return 0
            place.unlink()
            return found[1]

    def drop_abandoned(self) -> int:
        """Remove partial files that nobody went on with for a week, and return their bytes."""
        removed_bytes = 0
        for partial in self._partials.iterdir():
            with suppress(FileNotFoundError), self._lock:
                if partial in self._uploads or partial in self._puts:
                    continue
                found = partial.stat()
                if self._clock_s() - found.st_mtime > _ABANDONED_S:
                    partial.unlink()
                    removed_bytes += found.st_size
        return removed_bytes

    def read_bytes(self, digest: str) -> bytes:
        """Return the whole blob, verified.

        Raises:
            NotFoundError: ``blob_not_found``.
            StoreError: ``blob_damaged``; the file was moved aside.
        """
        return b"".join(self.open(digest))

    def open(
        self, digest: str, offset: int = 0, chunk_bytes: Callable[[], int] = lambda: CHUNK_BYTES
    ) -> Generator[bytes, None, None]:
        """Return the blob's bytes from ``offset`` in chunks; read from 0 to the end, they are verified.

        ``chunk_bytes`` says how large the next chunk may be.

        Raises:
            NotFoundError: ``blob_not_found``, at once.
            UsageError: ``invalid_offset``, at once.
            StoreError: ``blob_damaged``, after the last chunk; the file was moved aside.
        """
        # Reading alone is no sign that somebody is about to name the blob, and does not make it young.
        place = self._place(digest)
        if (found := self.age(digest)) is None:
            raise self._missing(digest)
        size_bytes = found[1]
        if not 0 <= offset <= size_bytes:
            raise UsageError(
                "invalid_offset", f"offset {offset} is not in blob {digest} of {size_bytes} bytes; start again from 0"
            )
        return self._read(place, digest, offset, chunk_bytes)

    def begin(self, digest: str, size_bytes: int, *, owner: str = "") -> Upload:
        """Begin an upload, or go on with the one that ``owner`` began; see ``Upload``.

        Hashes what is already there, which takes about a second for each gigabyte. An upload of the same digest by
        the same owner that is still open is superseded; different owners never touch each other's bytes.

        Raises:
            UsageError: ``invalid_digest`` or ``invalid_size``.
            StoreError: ``disk_full`` when the rest would leave less than the reserve free; ``blob_io_error``.
        """
        if size_bytes < 0:
            raise UsageError("invalid_size", f"blob {digest[:80]!r} was announced with {size_bytes} bytes")
        partial = self._partial(digest, owner)
        with self._begin_locks[int(digest[0], 16)]:
            self._supersede(partial)
            upload = self._resume(partial, digest, size_bytes)
        try:
            require_free_bytes(self.folder, upload.size_bytes - upload.offset, self._free_bytes(self.folder))
        except StoreError:
            upload.pause()
            raise
        return upload

    def received_bytes(self, digest: str, *, owner: str = "") -> int:
        """Return how much of an upload of ``owner`` is here, without opening it: all of it when the blob is kept."""
        if self.has(digest):
            return self.size(digest)
        partial = self._partial(digest, owner)
        return partial.stat().st_size if partial.exists() else 0

    def keep(self, partial: Path, digest: str) -> None:
        """Move a verified, flushed file to its place, durably. For ``Upload``."""
        place = self._place(digest)
        new_folders = [folder for folder in (place.parent.parent, place.parent) if not folder.exists()]
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Its last byte may have come long ago.
        os.utime(partial, (self._clock_s(), self._clock_s()))
        partial.replace(place)
        for folder in (place.parent, *(folder.parent for folder in new_folders)):
            flush_folder(folder)

    def forget(self, upload: Upload) -> None:
        """Drop an upload that let go of its file. For ``Upload``."""
        with self._lock:
            for partial in [key for key, open_upload in self._uploads.items() if open_upload is upload]:
                del self._uploads[partial]

    def _missing(self, digest: str) -> NotFoundError:
        return NotFoundError("blob_not_found", f"blob {digest} is not in {self.folder}; upload it first")

    def _place(self, digest: str) -> Path:
        require_digest(digest, "blob")
        return self.folder / digest[:2] / digest[2:4] / digest

    def _renewed(self, place: Path) -> os.stat_result | None:
        """Return what a blob's file is, None for no such file; it is young from now on."""
        with self._sweep_lock:
            try:
                found = place.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not stat.S_ISREG(found.st_mode):
                return None
            if (now_s := self._clock_s()) - found.st_mtime > RENEW_S:
                # On a disk that takes no writes nothing is swept either.
                with suppress(OSError):
                    os.utime(place, (now_s, now_s))
            return found

    def _partial(self, digest: str, owner: str) -> Path:
        require_digest(digest, "blob")
        # Hashed, because an owner is a text from outside.
        return self._partials / f"{digest}.{hashlib.sha256(owner.encode()).hexdigest()[:16]}"

    def _supersede(self, partial: Path) -> None:
        with self._lock:
            superseded = self._uploads.get(partial)
        if superseded is not None:
            # Waits for a write of the old connection to end.
            superseded.pause()

    def _resume(self, partial: Path, digest: str, size_bytes: int) -> Upload:
        complete = self.has(digest)
        if complete:
            size_bytes = self.size(digest)
            partial.unlink(missing_ok=True)
        upload = Upload(
            partial, digest=digest, size_bytes=size_bytes, destination=self, write=self._write, complete=complete
        )
        if not complete:
            with self._lock:
                self._uploads[partial] = upload
        return upload

    def _put(self, chunks: Iterable[bytes], size_bytes: int) -> str:
        with disk_errors(self.folder):
            require_free_bytes(self.folder, size_bytes, self._free_bytes(self.folder))
            with self._lock:
                descriptor, name = tempfile.mkstemp(prefix="put-", dir=self._partials)
                # However old a clock that was set anew makes it look, it is not abandoned.
                self._puts.add(partial := Path(name))
            try:
                digest = self._copy(chunks, descriptor)
                self.keep(partial, digest)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            finally:
                self._puts.discard(partial)
                os.close(descriptor)
        return digest

    def _copy(self, chunks: Iterable[bytes], descriptor: int) -> str:
        sha256 = hashlib.sha256()
        for chunk in chunks:
            sha256.update(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._write(descriptor, rest) :]
        flush_file(descriptor)
        return sha256.hexdigest()

    def _read(
        self, place: Path, digest: str, offset: int, chunk_bytes: Callable[[], int]
    ) -> Generator[bytes, None, None]:
        sha256 = hashlib.sha256()
        with disk_errors(self.folder), place.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(chunk_bytes()):
                sha256.update(chunk)
                yield chunk
        if offset == 0 and sha256.hexdigest() != digest:
            raise self._set_aside(place, digest)

    def _set_aside(self, place: Path, digest: str) -> StoreError:
        damaged = self.folder / "damaged" / digest
        with disk_errors(self.folder):
            damaged.parent.mkdir(mode=0o700, exist_ok=True)
            place.replace(damaged)
        return StoreError(
            "blob_damaged",
            f"blob {digest} changed on the disk and was moved to {damaged}; check the disk and upload the blob again",
        )
