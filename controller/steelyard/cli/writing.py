"""Files that a command writes where it was told to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.errors import UsageError


@contextmanager
def writing(path: Path, *, next_step: str = "name another place with -o") -> Iterator[None]:
    """Turn a failure to write ``path`` into a sentence that names it.

    Raises:
        UsageError: ``output_unwritable``: a folder in the way, no right to write there, a full disk.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            "output_unwritable", f"{path} cannot be written ({error.strerror or error}): {next_step}"
        ) from error


def make_folder(folder: Path, *, next_step: str = "name another folder") -> None:
    """Make a folder before what is written there is measured: one that cannot be written to is not found afterwards.

    Raises:
        UsageError: as ``writing``.
    """
    with writing(folder, next_step=next_step):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_text(path: Path, text: str, *, next_step: str = "name another place with -o") -> None:
    """Write a text file, with the folders above it, at once or not at all.

    Raises:
        UsageError: as ``writing``.
    """
    with writing(path, next_step=next_step):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
