"""Models and data that were fetched, named by the SHA-256 of their bytes; the least recently used go first."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from steelyard_agent.state.blob_quota import default_quota_bytes
from steelyard_agent.state.confidential_blobs import SUFFIX, ConfidentialBlobs
from steelyard_agent.state.durable import sync_file, sync_folder
from steelyard_agent.state.errors import DISK_RESERVE_BYTES, DiskFullError, StateError
from steelyard_agent.state.partial_file import PartialFile, appending

DIGEST = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 1024 * 1024


class DigestMismatchError(StateError):
    """The bytes that came are not those that were named."""


class BlobCache:
    """A folder of blobs and of partial ones. Not thread safe; ``finish`` and ``verified`` may run in a thread."""

    def __init__(self, folder: Path, *, free_bytes: Callable[[Path], int], quota_bytes: int | None = None) -> None:
        """Use ``folder``; ``free_bytes`` tells how much room a folder's disk has.

        What is kept beyond ``quota_bytes`` goes when the next job comes; None: see ``default_quota_bytes``.
        """
        self._folder = folder
        self._free_bytes = free_bytes
        self._quota_bytes = quota_bytes
        # Compiled models lie beside the blobs in the state directory.
        self.confidential = ConfidentialBlobs(folder, compiled=folder.parent / "prepared")
        # Forgotten once nobody fetches or waits.
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # What hashed a blob while it came, until it is finished.
        self._opened: dict[str, PartialFile] = {}

    @property
    def folder(self) -> Path:
        """Where the blobs lie."""
        return self._folder

    def path(self, digest: str) -> Path:
        """Return where the blob lies or would lie.

        Raises:
            ValueError: ``digest`` is not a SHA-256 in lower-case hexadecimal.
        """
        if DIGEST.fullmatch(digest) is None:
            raise ValueError(f"{digest!r} is not a SHA-256 in lower-case hexadecimal")
        return self._folder / digest

    def verified(self, digest: str) -> bool:
        """Tell whether the whole blob is here; one whose bytes have changed on the disk is removed. Reads all of it."""
        path = self.path(digest)
        if not path.is_file():
            return False
        if digest_of(path) != digest:
            path.unlink()
            return False
        os.utime(path)
        return True

    def recently_used(self) -> list[tuple[str, int]]:
        """Return the digest and the bytes of every whole blob that is here, the last used first; not verified."""
        found = [(path, path.stat()) for path in self._folder.iterdir() if DIGEST.fullmatch(path.name)]
        found.sort(key=lambda one: one[1].st_mtime_ns, reverse=True)
        return [(path.name, status.st_size) for path, status in found]

    def partial_size(self, digest: str) -> int:
        """Return how many bytes of the blob an earlier try has left, 0 for none."""
        partial = self._partial(digest)
        return partial.stat().st_size if partial.is_file() else 0

    @contextmanager
    def open_partial(self, digest: str) -> Iterator[PartialFile]:
        """Open the partial blob to append to it; what comes from its first byte on is hashed on its way.

        Raises:
            OSError: It could not be written.
        """
        with appending(self._partial(digest)) as opened:
            self._opened[digest] = opened
            yield opened

    def discard(self, digest: str) -> None:
        """Remove the partial blob, if there is one."""
        self._opened.pop(digest, None)
        self._partial(digest).unlink(missing_ok=True)

    def finish(self, digest: str) -> Path:
        """Verify the partial blob, flush it and give it its name.

        Raises:
            DigestMismatchError: The bytes are others; the partial is gone, so that the next try starts anew.
        """
        partial = self._partial(digest)
        opened = self._opened.pop(digest, None)
        is_as_written = opened is not None and opened.tell() == partial.stat().st_size
        found = (opened.digest if opened is not None and is_as_written else "") or digest_of(partial)
        if found != digest:
            partial.unlink()
            raise DigestMismatchError(
                "blob_mismatch", f"the controller served {found[:12]}… where {digest[:12]}… was asked for"
            )
        sync_file(partial)
        partial.replace(self.path(digest))
        sync_folder(self._folder)
        return self.path(digest)

    @asynccontextmanager
    async def only_one_fetches(self, digest: str) -> AsyncIterator[bool]:
        """Wait until nobody else fetches the blob, then say whether it is here by now."""
        lock = self._fetching.setdefault(digest, asyncio.Lock())
        async with lock:
            yield self.path(digest).is_file()

    def make_room(self, needed_bytes: int, *, keep: Collection[str]) -> None:
        """See that ``needed_bytes`` fit beside the reserve, dropping the least recently used blobs outside ``keep``.

        Those that lie here beyond the quota go, too; what is in ``keep`` stays and may come, however large.

        Raises:
            DiskFullError: Even without them there is no room; nothing was dropped.
        """
        sizes = {path: path.stat().st_size for path in self._folder.iterdir() if path.suffix != SUFFIX}
        idle = [path for path in sizes if path.name.split(".")[0] not in keep]
        idle.sort(key=lambda path: path.stat().st_mtime_ns)
        free_bytes = self._free_bytes(self._folder)
        missing = needed_bytes + DISK_RESERVE_BYTES - free_bytes if needed_bytes else 0
        if missing > sum(sizes[path] for path in idle):
            raise self.no_room_for(needed_bytes)
        kept_bytes = sum(sizes.values())
        quota_bytes = self._quota_bytes
        if quota_bytes is None:
            quota_bytes = default_quota_bytes(free_bytes=free_bytes, kept_bytes=kept_bytes)
        missing = max(missing, kept_bytes + needed_bytes - quota_bytes)
        while missing > 0 and idle:
            missing -= sizes[idle[0]]
            idle.pop(0).unlink()

    def no_room_for(self, needed_bytes: int) -> DiskFullError:
        """Return the error that names what is needed, what is free, and where."""
        return DiskFullError(needed_bytes=needed_bytes, free_bytes=self._free_bytes(self._folder), folder=self._folder)

    def _partial(self, digest: str) -> Path:
        return self.path(digest).with_suffix(".partial")


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hexadecimal. Reads all of it."""
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
