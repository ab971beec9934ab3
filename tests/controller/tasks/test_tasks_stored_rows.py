"""Rows of stored arrays are read from the file when they are asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz import write_npz
from steelyard.tasks.stored_rows import StoredRows, open_stored

_ARRAYS = {
    "x.values": np.arange(120, dtype=np.uint8).reshape(10, 3, 4),
    "x.table": np.arange(256, dtype=np.float32),
    "y.values": np.arange(10, dtype=np.float64),
}


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_rows_are_those_of_the_array(tmp_path: Path) -> None:
    found = open_stored(_write(tmp_path / "a.npz", write_npz(_ARRAYS)), whole=".table", what="the data")
    rows = found["x.values"]
    assert isinstance(rows, StoredRows)
    assert (rows.shape, rows.ndim, len(rows), rows.dtype) == ((10, 3, 4), 3, 10, np.uint8)
    for start, stop in ((0, 1), (3, 7), (9, 10), (4, 4), (0, 99)):
        np.testing.assert_array_equal(rows[start:stop], _ARRAYS["x.values"][start:stop])
        np.testing.assert_array_equal(found["y.values"][start:stop], _ARRAYS["y.values"][start:stop])
    assert isinstance(found["x.table"], np.ndarray)
    np.testing.assert_array_equal(found["x.table"], _ARRAYS["x.table"])


def test_compressed_files_are_read_as_a_whole(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_ARRAYS)
    found = open_stored(_write(tmp_path / "a.npz", buffer.getvalue()), whole=".table", what="the data")
    for name, array in _ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_numpy_writes_is_read_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **_ARRAYS)
    found = open_stored(tmp_path / "a.npz", whole=".table", what="the data")
    np.testing.assert_array_equal(found["x.values"][2:5], _ARRAYS["x.values"][2:5])


@pytest.mark.parametrize("damage", ["noise", "cut", "empty"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    content = write_npz(_ARRAYS)
    damaged = {"noise": b"noise", "cut": content[: len(content) // 2], "empty": b""}[damage]
    with pytest.raises(TaskError, match="the data is not a readable") as caught:
        open_stored(_write(tmp_path / "a.npz", damaged), whole=".table", what="the data")
    assert caught.value.reason == "invalid_npz"


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    content = write_npz({"x.values": np.zeros((10, 2), np.uint8)})
    lying = content.replace(b"(10, 2)", b"(99, 2)")
    with pytest.raises(TaskError, match="does not hold what it promises"):
        open_stored(_write(tmp_path / "a.npz", lying), whole=".table", what="the data")


def test_only_rows_in_their_order_are_read(tmp_path: Path) -> None:
    found = open_stored(_write(tmp_path / "a.npz", write_npz(_ARRAYS)), whole=".table", what="the data")
    with pytest.raises(ValueError, match="step is 2"):
        found["x.values"][0:10:2]


def test_a_file_that_became_shorter_is_noticed(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.npz", write_npz({"x.values": np.zeros((1000, 2), np.uint8)}))
    rows = open_stored(path, whole=".table", what="the data")["x.values"]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(OSError, match="became shorter"):
        rows[990:1000]
