"""The task's data file is read sample by sample, and a damaged one is refused."""

from __future__ import annotations

import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.samples import SampleFile


def _save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, **{name.replace("_dot_", "."): values for name, values in arrays.items()})
    return path


def test_plain_values_come_back_in_order(tmp_path: Path) -> None:
    values = np.arange(40, dtype=np.float32).reshape(10, 4)
    with closing(SampleFile(_save(tmp_path / "d.npz", x_dot_values=values))) as samples:
        assert (samples.names, samples.count) == (("x",), 10)
        parts = [samples.read(size)["x"] for size in (1, 6, 3)]
        with pytest.raises(BlockFailure, match="has 10 samples; 1 from sample 10"):
            samples.read(1)
    assert np.array_equal(np.concatenate(parts), values)
    assert parts[0].flags.writeable


def test_a_table_unpacks_values_exactly(tmp_path: Path) -> None:
    packed = np.random.default_rng(0).integers(0, 256, (5, 2, 3), dtype=np.uint8)
    table = ((np.arange(256) / 255 - 0.286) / 0.353).astype(np.float32)
    path = _save(tmp_path / "d.npz", image_dot_values=packed, image_dot_table=table)
    with closing(SampleFile(path)) as samples:
        unpacked = samples.read(5)["image"]
    assert unpacked.dtype == np.float32
    assert np.array_equal(unpacked, table[packed])


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    dtype=st.sampled_from(["float32", "float16", "int8", "uint8", "int64", "bool"]),
    step=st.integers(1, 4),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_array_is_read_whole_whatever_the_steps(tmp_path: Path, shape: list[int], dtype: str, step: int) -> None:
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    with closing(SampleFile(_save(tmp_path / "d.npz", x_dot_values=values))) as samples:
        parts = []
        while samples.position < samples.count:
            parts.append(samples.read(min(step, samples.count - samples.position))["x"])
    assert np.array_equal(np.concatenate(parts), values)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x_dot_values": np.zeros((0, 4), np.float32)}, "0 samples"),
        ({"x_dot_values": np.zeros((2, 4)), "y_dot_values": np.zeros((3, 4))}, "different sample counts"),
        ({"x": np.zeros((2, 4))}, "no array called"),
        ({"x_dot_values": np.float32(1)}, "no sample axis"),
        ({"x_dot_values": np.array(["a"])}, "not plain numbers"),
        ({"x_dot_values": np.asfortranarray(np.zeros((2, 4)))}, "C order"),
        ({"x_dot_values": np.zeros((2, 4)), "x_dot_table": np.zeros(256)}, "table for 'x' that cannot be one"),
    ],
)
def test_arrays_that_are_no_samples_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(BlockFailure, match=sentence) as caught:
        SampleFile(_save(tmp_path / "d.npz", **arrays))
    assert caught.value.status is BlockStatus.USER_ERROR


def test_values_beyond_the_table_are_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "d.npz", x_dot_values=np.array([[9]], np.uint8), x_dot_table=np.zeros(4, np.float32))
    with closing(SampleFile(path)) as samples, pytest.raises(BlockFailure, match="its table of 4"):
        samples.read(1)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, **{"x.values": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(BlockFailure, match="not plain numbers"):
        SampleFile(path)


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1000000000000), }"
    with zipfile.ZipFile(path, "w") as archive:
        length = len(header).to_bytes(2, "little")
        archive.writestr("x.values.npy", b"\x93NUMPY\x01\x00" + length + header + b"1234")
    with pytest.raises(BlockFailure, match=r"bytes for shape \(1, 1000000000000\)"):
        SampleFile(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "d.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BlockFailure, match=r"d\.npz cannot be read"):
        SampleFile(path)


def test_damage_in_the_middle_is_noticed(tmp_path: Path) -> None:
    path = _save(tmp_path / "d.npz", x_dot_values=np.random.default_rng(0).random((200, 50)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with closing(SampleFile(path)) as samples, pytest.raises(BlockFailure, match="cannot be read"):
        samples.read(200)
