"""What providers compiled on this device, kept by the digest of all that it depends on; the least recently used go.

A folder counts once its note says how long the build took: what a killed build left behind is wiped before the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from steelyard_agent.state.confidential_blobs import COMPILED_MARKER
from steelyard_agent.state.durable import write_durably

# Engines are about as large as their models; this holds some dozens of those that fit a board.
DEFAULT_QUOTA_BYTES = 4 * 1024**3
_NOTE = "prepared.json"
_CACHE = "cache"
# A week; a note that says more was not written by us.
_LONGEST_BUILD_NS = 7 * 24 * 3600 * 10**9


class PreparedCache:
    """Folders of compiled models under one root. Not thread safe."""

    def __init__(self, root: Path, *, quota_bytes: int = DEFAULT_QUOTA_BYTES) -> None:
        """Use ``root``, which is made with the first folder."""
        self._root = root
        self._quota_bytes = quota_bytes

    def folder(self, key: str) -> Path:
        """Return the cache folder of a key, made when it is missing, and mark it as used."""
        folder = self._root / key / _CACHE
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(folder.parent)
        return folder

    def build_ns(self, key: str) -> int | None:
        """Return how long the finished build of a key took, None when there is none."""
        try:
            record = json.loads((self._root / key / _NOTE).read_text(encoding="utf-8"))
            build_ns = record["build_ns"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return build_ns if type(build_ns) is int and 0 < build_ns < _LONGEST_BUILD_NS else None

    def begin(self, key: str) -> Path:
        """Return the folder for a build; what an unfinished one left there is removed."""
        if self.build_ns(key) is None:
            self.forget(key)
        return self.folder(key)

    def finish(self, key: str, build_ns: int) -> None:
        """Note that the build of a key is whole, and drop the least recently used others beyond the quota.

        Raises:
            OSError: The note cannot be written; the next job builds again.
        """
        write_durably(self._root / key / _NOTE, json.dumps({"build_ns": build_ns}).encode("utf-8"))
        self._drop_beyond_quota(keep=key)

    def mark_confidential(self, key: str) -> None:
        """Take note that what is built for a key goes with the job; see ``ConfidentialBlobs``.

        Raises:
            OSError: It cannot be marked.
        """
        (self._root / key / COMPILED_MARKER).touch(mode=0o600)

    def forget(self, key: str) -> None:
        """Remove what was built for a key."""
        folder = self._root / key
        if folder.is_symlink() or folder.is_file():
            # Not ours: what a link leads to stays.
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def _drop_beyond_quota(self, *, keep: str) -> None:
        folders = sorted(self._root.iterdir(), key=lambda folder: folder.lstat().st_mtime_ns, reverse=True)
        used_bytes = _size_bytes(self._root / keep)
        for folder in folders:
            if folder.name == keep:
                continue
            used_bytes += _size_bytes(folder)
            if used_bytes > self._quota_bytes:
                shutil.rmtree(folder, ignore_errors=True)


def prepared_key(parts: Mapping[str, object]) -> str:
    """Return the SHA-256 of all that a build depends on: model, runtime, its version and options, driver, device."""
    text = json.dumps(dict(parts), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _size_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
