"""A small disk of one process that a test can fill: a file system in memory, else a limit on what it may write."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

# Agent and controller both keep 64 MiB free for the system.
_SIZE_BYTES = 96 * 1024 * 1024
_FILL_BYTES = 1024 * 1024


class Disk:
    """Holds the state directory ``folder``. Made by ``mounted_disk`` or ``limited_disk``."""

    def __init__(self, folder: Path, *, fill: Callable[[], None], free: Callable[[], None], close: Callable[[], None]):
        self.folder = folder
        self.is_full = False
        # When it was full last; monotonic.
        self.was_full_s = -1e9
        self._fill, self._free, self.close = fill, free, close

    def fill(self) -> None:
        """Leave no room."""
        self._fill()
        self.is_full = True

    def free(self) -> None:
        """Give the room back."""
        self._free()
        self.is_full = False
        self.was_full_s = time.monotonic()


def make_disk(folder: Path, owners: Callable[[], Iterable[int]]) -> Disk:
    """Return a disk of its own where this process may mount one, else one that limits the processes ``owners``."""
    return mounted_disk(folder) or limited_disk(folder, owners)


def mounted_disk(folder: Path) -> Disk | None:
    """Mount a small file system on ``folder``; None where that is not allowed."""
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_BYTES},mode=700", "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode != 0:
        folder.rmdir()
        return None
    filler = folder / "filler"

    def fill() -> None:
        try:
            with filler.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(_FILL_BYTES))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def close() -> None:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)

    return Disk(folder, fill=fill, free=lambda: filler.unlink(missing_ok=True), close=close)


def limited_disk(folder: Path, owners: Callable[[], Iterable[int]]) -> Disk:
    """Let the processes ``owners`` and their children write nothing while it is full (Linux)."""
    folder.mkdir(mode=0o700)

    def limit(most_bytes: int) -> None:
        for pid in owners():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                for one in (process, *process.children(recursive=True)):
                    _limit_files(one.pid, most_bytes)

    return Disk(folder, fill=lambda: limit(0), free=lambda: limit(resource.RLIM_INFINITY), close=lambda: None)


def _limit_files(pid: int, most_bytes: int) -> None:
    if sys.platform != "linux":
        raise NotImplementedError("only Linux changes the limits of a running process")
    with suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, hard))
