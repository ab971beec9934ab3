"""Write .npz bytes that depend on the arrays alone, and read .npz bytes that nobody vouches for.

``numpy.load`` is not used on foreign bytes: it allocates what a header claims before it looks at the data. Here every
member is bounded by what the archive really holds, and only the header form that numpy itself writes is understood.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError

DEFAULT_MAX_BYTES = 2 * 1024**3
_MAX_ARRAY_COUNT = 256
_MAX_HEADER_BYTES = 10_000
# The oldest time that a zip file can name: the bytes must not depend on the clock.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
# numpy.lib.format, version 1.0: magic, version, uint16 header length, header.
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[<|][biuf]\d{1,2})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,18}(?:, ?)?){0,32})\), \} *\n"
)


def write_npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the .npz bytes of ``arrays``, stored and not compressed; the same arrays give the same bytes.

    Raises:
        TaskError: an array of objects or strings, or a name that a zip file cannot hold.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if "\0" in name:
                raise TaskError("invalid_name", f"the array name {name!r} contains a NUL; rename the model's input")
            if array.dtype.kind not in "biuf":
                raise TaskError("invalid_dtype", f"array {name!r} is {array.dtype}; store numbers or booleans")
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_ZIP_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, _npy_bytes(array))
    return buffer.getvalue()


def read_npz(
    content: bytes, *, what: str, max_bytes: int = DEFAULT_MAX_BYTES, max_arrays: int = _MAX_ARRAY_COUNT
) -> dict[str, NDArray[Any]]:
    """Return the arrays of .npz bytes from somewhere else; ``what`` names the bytes in errors.

    Raises:
        TaskError: bytes that are no .npz file of plain little-endian numbers, or more than ``max_bytes`` of them or
            ``max_arrays`` arrays.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read_members(archive, what, max_bytes, max_arrays)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise TaskError("invalid_npz", f"{what} is not a readable .npz file ({error}); make it again") from error


def read_first_rows(path: Path, row_count: int, *, what: str, whole: str) -> dict[str, NDArray[Any]]:
    """Return the first rows of each array of an .npz file, and those whole whose name ends with ``whole``.

    Reads no more of the file than it returns, so that a large data set costs nothing.

    Raises:
        TaskError: a file that is no .npz file of plain little-endian numbers in C order.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name: _first_rows(archive, member, None if name.endswith(whole) else row_count, what)
                for member in archive.infolist()[:_MAX_ARRAY_COUNT]
                for name in [member.filename.removesuffix(".npy")]
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise TaskError("invalid_npz", f"{what} is not a readable .npz file ({error}); make it again") from error


def _first_rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, row_count: int | None, what: str) -> NDArray[Any]:
    with archive.open(member) as file:
        head = file.read(len(_MAGIC) + 2)
        head += file.read(min(_MAX_HEADER_BYTES, int.from_bytes(head[len(_MAGIC) :], "little")))
        dtype, shape, is_fortran, _ = parse_header(head, what, member.filename)
        if row_count is not None and shape and not is_fortran:
            shape = (min(row_count, shape[0]), *shape[1:])
        size_bytes = dtype.itemsize * math.prod(shape)
        if is_fortran or size_bytes > member.file_size:
            raise ValueError(f"{member.filename!r} is in Fortran order or ends early")
        return np.frombuffer(file.read(size_bytes), dtype=dtype).reshape(shape)


def _read_members(archive: zipfile.ZipFile, what: str, max_bytes: int, max_arrays: int) -> dict[str, NDArray[Any]]:
    members = archive.infolist()
    total_bytes = sum(member.file_size for member in members)
    if len(members) > max_arrays or total_bytes > max_bytes:
        raise TaskError(
            "npz_too_large",
            f"{what} claims {len(members)} arrays of {total_bytes} bytes in all; at most {max_arrays} arrays and "
            f"{max_bytes} bytes are read: raise the quota or reduce the outputs",
        )
    arrays = {}
    for member in members:
        with archive.open(member) as file:
            arrays[member.filename.removesuffix(".npy")] = _parse_npy(file.read(), what, member.filename)
    return arrays


def _npy_bytes(array: NDArray[Any]) -> bytes:
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, plain, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _parse_npy(content: bytes, what: str, member: str) -> NDArray[Any]:
    dtype, shape, is_fortran, start = parse_header(content, what, member)
    values = np.frombuffer(content, dtype=dtype, offset=start)
    # ValueError when the header promises other than what there is; Fortran order is the transpose of the reverse.
    return values.reshape(shape[::-1]).T if is_fortran else values.reshape(shape)


def parse_header(content: bytes, what: str, member: str) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Return dtype, shape, whether in Fortran order, and where the values begin; ``content`` may end there.

    Raises:
        TaskError: not the header of a plain array of numbers; ``what`` and ``member`` name it.
    """
    start = len(_MAGIC) + 2
    length = int.from_bytes(content[len(_MAGIC) : start], "little")
    header = content[start : start + length].decode("latin-1") if length <= _MAX_HEADER_BYTES else ""
    match = _HEADER.fullmatch(header) if content.startswith(_MAGIC) else None
    if match is None:
        raise TaskError("invalid_npz", f"{what}: {member!r} is not a plain numpy array of numbers; make it again")
    shape = tuple(int(size) for size in match["shape"].replace(" ", "").split(",") if size)
    return np.dtype(match["dtype"]), shape, match["fortran"] == "True", start + length
