"""Reads a task's inputs sample by sample, so that a data set never stands in memory as a whole.

The file is an .npz with, per input name, the array ``NAME.values`` [N, ...] and, where values were packed,
``NAME.table``: the input is then ``table[values]``. Nothing is unpickled, and nothing is believed: a header that
promises more than the archive holds is refused before memory is taken for it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from steelyard_agent.worker.failure import BlockFailure, BlockStatus

if TYPE_CHECKING:
    from steelyard_agent.worker.contract import Array

_VALUES = ".values.npy"
_TABLE = ".table.npy"
# A table maps every value of a byte, or of two.
_LARGEST_TABLE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One input's array within the archive, read from its start to its end."""

    stream: IO[bytes]
    dtype: np.dtype[np.generic]
    sample_shape: tuple[int, ...]
    count: int
    table: Array | None


class SampleFile:
    """The inputs of a task, read once from the first sample to the last.

    Raises:
        BlockFailure: USER_ERROR when the file is missing, empty, damaged, or has no such arrays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = ExitStack()
        self.position = 0
        with self._readable():
            archive = self._files.enter_context(zipfile.ZipFile(path))
            members = {info.filename: info for info in archive.infolist()}
            names = [name.removesuffix(_VALUES) for name in members if name.endswith(_VALUES)]
            self._columns = {name: self._open(archive, members, name) for name in names}
        counts = {name: column.count for name, column in self._columns.items()}
        if not counts:
            raise self._refusal('holds no array called "NAME.values"')
        if len(set(counts.values())) > 1:
            raise self._refusal(f"has different sample counts: {counts}")
        self.count = next(iter(counts.values()))
        if self.count == 0:
            raise BlockFailure(
                BlockStatus.USER_ERROR, "empty_data", f"the data set {path.name} has 0 samples; give it at least one"
            )

    def close(self) -> None:
        """Close the file; ``contextlib.closing`` calls this."""
        self._files.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The input names that the file has arrays for."""
        return tuple(self._columns)

    def read(self, sample_count: int) -> dict[str, Array]:
        """Return the next samples, [sample_count, ...] per input name.

        Raises:
            BlockFailure: USER_ERROR when fewer are left, or the file is damaged there.
        """
        if sample_count > self.count - self.position:
            raise self._refusal(
                f"has {self.count} samples; {sample_count} from sample {self.position} on were asked for"
            )
        with self._readable():
            arrays = {name: self._next(name, column, sample_count) for name, column in self._columns.items()}
        self.position += sample_count
        return arrays

    def _open(self, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> _Column:
        stream, shape, dtype, _ = self._array(archive, members[name + _VALUES])
        if not shape:
            raise self._refusal(f"has no sample axis in {name!r}")
        table = None
        if name + _TABLE in members:
            table_stream, table_shape, table_dtype, size_bytes = self._array(archive, members[name + _TABLE])
            if size_bytes > _LARGEST_TABLE_BYTES or not table_shape or dtype.kind not in "ui":
                raise self._refusal(f"has a table for {name!r} that cannot be one")
            table = np.frombuffer(table_stream.read(size_bytes), table_dtype).reshape(table_shape)
        return _Column(stream=stream, dtype=dtype, sample_shape=shape[1:], count=shape[0], table=table)

    def _array(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo
    ) -> tuple[IO[bytes], tuple[int, ...], np.dtype[np.generic], int]:
        stream = self._files.enter_context(archive.open(member))
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(stream))
        if read_header is None:
            raise self._refusal(f"has {member.filename!r} in a version of .npy that is not read here")
        shape, is_fortran, dtype = read_header(stream)
        if dtype.hasobject or dtype.kind not in "fiub" or (is_fortran and len(shape) > 1):
            raise self._refusal(f"has {member.filename!r} of type {dtype} that is not plain numbers in C order")
        size_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if stream.tell() + size_bytes != member.file_size:
            raise self._refusal(f"has {member.filename!r} with {member.file_size} bytes for shape {shape}")
        return stream, tuple(shape), dtype, size_bytes

    def _next(self, name: str, column: _Column, sample_count: int) -> Array:
        shape = (sample_count, *column.sample_shape)
        size_bytes = int(np.prod(shape, dtype=object)) * column.dtype.itemsize
        content = column.stream.read(size_bytes)
        if len(content) < size_bytes:
            raise self._refusal(f"ends within {name!r}")
        values = np.frombuffer(content, column.dtype).reshape(shape)
        if column.table is None:
            return values.copy()
        if values.size and not 0 <= int(values.min()) <= int(values.max()) < len(column.table):
            raise self._refusal(f"has values of {name!r} that its table of {len(column.table)} does not have")
        return np.ascontiguousarray(column.table[values])

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            self._files.close()
            raise self._refusal(f"cannot be read: {error}") from error

    def _refusal(self, what: str) -> BlockFailure:
        return BlockFailure(
            BlockStatus.USER_ERROR, "bad_data", f"the data file {self._path.name} {what}; make the task again"
        )
