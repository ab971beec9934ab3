"""Writes that are either there in full after a crash or not there at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``: temporary name in the same folder, fsync, rename, fsync of the folder.

    Raises:
        OSError: Nothing was replaced; the temporary file is gone.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # Made anew: one that is there already was left by a crash, or is a link to where root would write.
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Flush what was written to ``path`` to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush the names in ``folder``, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it, as far as that is possible."""
    # shutil brings every compressor of the standard library, which an agent that idles does not hold.
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
