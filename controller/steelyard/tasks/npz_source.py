"""A user's own .npz, compressed or not: bounded by the memory that is free, and never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz by name.

    Raises:
        TaskError: a file that is missing, no .npz, damaged, pickled, or larger than the memory.
    """
    try:
        refuse_special_file(path)
        if path.exists() and not zipfile.is_zipfile(path):
            raise TaskError("invalid_npz", f"{path} is not an .npz file; store inputs and labels with numpy.savez")
        _refuse_more_than_memory(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except MemoryError as error:
        # numpy allocates what an array's header claims before it looks at the data.
        raise TaskError(
            "npz_too_large", f"{path} claims more data than this machine has memory for ({error}); store fewer samples"
        ) from error
    except FileNotFoundError as error:
        raise TaskError("data_not_found", f"there is no file {path}; check the path") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, SyntaxError) as error:
        if "pickle" in str(error):
            raise TaskError(
                "pickled_array", f"{path} holds pickled objects, which could run code; store plain number arrays"
            ) from error
        raise TaskError("invalid_npz", f"{path} is not a readable .npz file ({error}); make it again") from error


def refuse_special_file(path: Path) -> None:
    """Refuse a pipe or a device file, which may never end.

    Raises:
        TaskError: task_unreadable.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise TaskError("task_unreadable", f"{path} is no regular file; copy the data into one")


def free_memory_bytes() -> int:
    """Return the memory that is free on this machine."""
    import psutil

    return int(psutil.virtual_memory().available)


def _refuse_more_than_memory(path: Path) -> None:
    """Refuse what unpacks to more than the memory that is free: ten megabytes of zeros can be twenty gigabytes."""
    with zipfile.ZipFile(path) as archive:
        unpacked_bytes = sum(member.file_size for member in archive.infolist())
    free_bytes = free_memory_bytes()
    if unpacked_bytes > free_bytes:
        raise TaskError(
            "npz_too_large",
            f"{path} unpacks to {unpacked_bytes} bytes and this machine has {free_bytes} bytes of memory free; store "
            "fewer samples, or smaller ones (uint8 with a [preprocess])",
        )
