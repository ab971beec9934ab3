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
class _OpenArray:
    """An .npy member of the archive whose header was read: its values come next."""

    stream: IO[bytes]
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One input's array, read from its start to its end, and the table that unpacks it."""

    values: _OpenArray
    table: Array | None

    @property
    def count(self) -> int:
        """How many samples there are."""
        return self.values.shape[0]


class SampleFile:
    """The inputs of a task, read once from the first sample to the last.

    Raises:
        BlockFailure: USER_ERROR when the file is missing, empty, damaged, or has no such arrays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.position = 0
        with ExitStack() as files:
            with self._readable():
                archive = files.enter_context(zipfile.ZipFile(path))
                self._columns = self._open_all(archive, files)
            self.count = self._common_count()
            # Nothing was refused: the files stay open.
            self._files = files.pop_all()

    def close(self) -> None:
        """Close the file; ``contextlib.closing`` calls this."""
        self._files.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The input names that the file has arrays for."""
        return tuple(self._columns)

    @property
    def ranks(self) -> dict[str, int]:
        """How many axes the array of each input has, that of the samples counted."""
        return {name: len(column.values.shape) for name, column in self._columns.items()}

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

    def _open_all(self, archive: zipfile.ZipFile, files: ExitStack) -> dict[str, _Column]:
        def open_array(member: str) -> _OpenArray:
            return self._open_array(files.enter_context(archive.open(member)), archive.getinfo(member))

        members = set(archive.namelist())
        names = [member.removesuffix(_VALUES) for member in archive.namelist() if member.endswith(_VALUES)]
        return {
            name: self._column(
                name, open_array(name + _VALUES), open_array(name + _TABLE) if name + _TABLE in members else None
            )
            for name in names
        }

    def _common_count(self) -> int:
        counts = {name: column.count for name, column in self._columns.items()}
        if not counts:
            raise self._refusal('holds no array called "NAME.values"')
        if len(set(counts.values())) > 1:
            raise self._refusal(f"has different sample counts: {counts}")
        count = next(iter(counts.values()))
        if count == 0:
            raise BlockFailure(
                BlockStatus.USER_ERROR,
                "empty_data",
                f"the data set {self._path.name} has 0 samples; give it at least one",
            )
        return count

    def _column(self, name: str, values: _OpenArray, packed: _OpenArray | None) -> _Column:
        if not values.shape:
            raise self._refusal(f"has no sample axis in {name!r}")
        table = None
        if packed is not None:
            if packed.size_bytes > _LARGEST_TABLE_BYTES or not packed.shape or values.dtype.kind not in "ui":
                raise self._refusal(f"has a table for {name!r} that cannot be one")
            table = np.frombuffer(packed.stream.read(packed.size_bytes), packed.dtype).reshape(packed.shape)
        return _Column(values=values, table=table)

    def _open_array(self, stream: IO[bytes], member: zipfile.ZipInfo) -> _OpenArray:
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
        return _OpenArray(stream=stream, dtype=dtype, shape=tuple(shape), size_bytes=size_bytes)

    def _next(self, name: str, column: _Column, sample_count: int) -> Array:
        stored = column.values
        size_bytes = stored.size_bytes // column.count * sample_count
        content = stored.stream.read(size_bytes)
        if len(content) < size_bytes:
            raise self._refusal(f"ends within {name!r}")
        values = np.frombuffer(content, stored.dtype).reshape((sample_count, *stored.shape[1:]))
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
            raise self._refusal(f"cannot be read: {error}") from error

    def _refusal(self, what: str) -> BlockFailure:
        return BlockFailure(
            BlockStatus.USER_ERROR, "bad_data", f"the data file {self._path.name} {what}; make the task again"
        )
