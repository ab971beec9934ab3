"""Packing gives back every bit and depends on nothing but the array."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from steelyard.tasks.errors import TaskError
from steelyard.tasks.npz import read_npz, write_npz
from steelyard.tasks.packing import pack, unpack

_SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)
_DTYPES = st.sampled_from(["float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool"])
_ARRAYS = _DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, _SHAPES))


@given(array=_ARRAYS, name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
@settings(deadline=None)
def test_unpacking_gives_back_every_bit(array: np.ndarray, name: str) -> None:
    (restored_name, restored), *others = unpack(pack(name, array)).items()
    assert (restored_name, others) == (name, [])
    assert (restored.dtype, restored.shape) == (array.dtype, array.shape)
    assert restored.tobytes() == array.tobytes()


def test_negative_zero_and_nan_payloads_survive() -> None:
    bits = np.array([0x80000000, 0, 0x7FC00001, 0x7FC00002, 0xFFC00000], dtype=np.uint32)
    restored = unpack(pack("x", bits.view(np.float32)))["x"]
    np.testing.assert_array_equal(restored.view(np.uint32), bits)


@pytest.mark.parametrize(
    ("distinct_count", "dtype"), [(256, "uint8"), (257, "uint16"), (65_536, "uint16"), (65_537, "float32")]
)
def test_the_number_of_distinct_values_decides_the_form(distinct_count: int, dtype: str) -> None:
    array = np.arange(distinct_count, dtype=np.float32).reshape(-1, 1)
    with np.load(io.BytesIO(pack("x", array))) as archive:
        assert archive["x.values"].dtype == dtype
        assert ("x.table" in archive) == (dtype != "float32")
    np.testing.assert_array_equal(unpack(pack("x", array))["x"], array)


def test_the_same_array_gives_the_same_bytes_whatever_its_memory_order() -> None:
    array = np.random.default_rng(0).standard_normal((7, 5, 3)).astype(np.float32)
    assert pack("x", array) == pack("x", np.asfortranarray(array)) == pack("x", array.astype(">f4").astype("<f4"))


def test_members_are_stored_without_a_time_of_today() -> None:
    with zipfile.ZipFile(io.BytesIO(pack("x", np.zeros((2, 2), np.int8)))) as archive:
        (entry,) = archive.infolist()
    assert (entry.date_time[0], entry.compress_type, entry.create_system) == (1980, zipfile.ZIP_STORED, 3)


def test_a_name_with_nul_and_arrays_of_text_are_refused() -> None:
    with pytest.raises(TaskError, match="NUL"):
        pack("a\0b", np.zeros(1))
    with pytest.raises(TaskError, match="numbers"):
        pack("x", np.array(["text"]))


def test_compressed_archives_and_fortran_order_are_read() -> None:
    array = np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, labels=array)
    np.testing.assert_array_equal(read_npz(buffer.getvalue(), what="it")["labels"], array)


def test_a_header_that_promises_more_than_there_is_is_refused() -> None:
    header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }"
    with pytest.raises(TaskError, match="not a readable"):
        read_npz(_archive(_npy(header, b"\0" * 80)), what="it")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (1,), }",
        "__import__('os').abort()",
        "(" * 5000,
    ],
)
def test_headers_that_numpy_does_not_write_for_numbers_are_refused(header: str) -> None:
    with pytest.raises(TaskError, match="plain numpy array"):
        read_npz(_archive(_npy(header, b"\0" * 8)), what="it")


def test_more_bytes_than_allowed_are_refused_by_what_the_archive_claims() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.zeros(1_000_000, np.int64))
    assert len(buffer.getvalue()) < 100_000
    with pytest.raises(TaskError, match="quota") as caught:
        read_npz(buffer.getvalue(), what="it", max_bytes=1_000_000)
    assert caught.value.reason == "npz_too_large"


@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), kept=st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_damaged_archives_are_read_or_refused_and_nothing_else(changes: list[tuple[int, int]], kept: int) -> None:
    content = bytearray(write_npz({"argmax": np.arange(20, dtype=np.int64)})[:kept])
    for place, value in changes:
        if content:
            content[place % len(content)] = value
    with contextlib.suppress(TaskError):
        arrays = read_npz(bytes(content), what="it", max_bytes=10_000)
        assert sum(array.nbytes for array in arrays.values()) <= 10_000


def _npy(header: str, data: bytes) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _archive(member: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", member)
    return buffer.getvalue()
