"""Rows of arrays in an .npz file that are read when they are asked for: data sets larger than memory."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz import parse_header, read_npz

_MAX_HEADER_BYTES = 10_000
_LOCAL_HEADER_BYTES = 30
# Where a local file header of a zip file holds the lengths of the name and of the extra field, 2 bytes each.
_NAME_LENGTH_AT = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRows:
    """An array [N, ...] that lies in ``path`` from ``offset_bytes`` on; a slice of it is read anew each time."""

    path: Path
    offset_bytes: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return some rows; only steps of 1.

        Raises:
            OSError: the file is gone or shorter than it was.
        """
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise ValueError(f"rows are read in their order, and the step is {step}")
        row_values = math.prod(self.shape[1:])
        count = max(stop - start, 0)
        found = np.fromfile(
            self.path,
            dtype=self.dtype,
            count=count * row_values,
            offset=self.offset_bytes + start * row_values * self.dtype.itemsize,
        )
        if found.size != count * row_values:
            raise OSError(f"{self.path} became shorter while it was read")
        return found.reshape((count, *self.shape[1:]))


def open_stored(path: Path, *, whole: str, what: str) -> Mapping[str, NDArray[Any] | StoredRows]:
    """Return the arrays of an .npz file: those whose names end with ``whole`` in memory, others as rows in the file.

    A file with compressed members or arrays in Fortran order is read as a whole.

    Raises:
        TaskError: a file that is no .npz file of plain little-endian numbers.
    """
    found: dict[str, NDArray[Any] | StoredRows] = {}
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                rows = _rows(path, file, member, what)
                if rows is None:
                    return dict(read_npz(path.read_bytes(), what=what))
                name = member.filename.removesuffix(".npy")
                found[name] = rows[:] if name.endswith(whole) else rows
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise TaskError("invalid_npz", f"{what} is not a readable .npz file ({error}); make it again") from error
    return found


def _rows(path: Path, file: Any, member: zipfile.ZipInfo, what: str) -> StoredRows | None:
    """Return where a member's rows lie, or None when they cannot be read one by one."""
    if member.compress_type != zipfile.ZIP_STORED:
        return None
    file.seek(member.header_offset)
    local = file.read(_LOCAL_HEADER_BYTES)
    name_bytes = int.from_bytes(local[_NAME_LENGTH_AT : _NAME_LENGTH_AT + 2], "little")
    extra_bytes = int.from_bytes(local[_NAME_LENGTH_AT + 2 : _NAME_LENGTH_AT + 4], "little")
    begin = member.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    file.seek(begin)
    dtype, shape, is_fortran, header_bytes = parse_header(
        file.read(min(_MAX_HEADER_BYTES, member.file_size)), what, member.filename
    )
    if is_fortran or not shape:
        return None
    if header_bytes + dtype.itemsize * math.prod(shape) != member.file_size:
        raise ValueError(f"{member.filename!r} does not hold what it promises")
    return StoredRows(path=path, offset_bytes=begin + header_bytes, dtype=dtype, shape=shape)
