"""Truth travels as one blob, texts included; what nobody made is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.tasks.errors import TaskError
from steelyard.tasks.metrics.device_outputs import read_outputs
from steelyard.tasks.npz import write_npz
from steelyard.tasks.truth import pack_truth, unpack_truth

# What a numpy text array keeps: it drops trailing NULs; and UTF-8 has no lone surrogates.
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8), max_size=6)


@given(TEXTS)
def test_texts_come_back_as_they_went_in(texts: list[str]) -> None:
    found = unpack_truth(pack_truth({"texts": np.array(texts, dtype=np.str_)}))
    assert found["texts"].tolist() == texts


def test_numbers_keep_their_dtype_and_shape_beside_texts() -> None:
    truth = {"labels": np.arange(3), "boxes": np.ones((2, 4), np.float32), "texts": np.array(["a", "", "über"])}
    content = pack_truth(truth)
    found = unpack_truth(content)
    assert content == pack_truth(truth)
    assert found.keys() == truth.keys()
    for name, array in truth.items():
        assert found[name].dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "arrays",
    [
        {"texts.ends": np.array([1])},
        {"texts.ends": np.array([2]), "texts.utf8": np.zeros(1, np.uint8)},
        {"texts.ends": np.array([3, 1]), "texts.utf8": np.zeros(1, np.uint8)},
        {"texts.ends": np.array([-1, 1]), "texts.utf8": np.zeros(1, np.uint8)},
        {"texts.ends": np.array([1.0]), "texts.utf8": np.zeros(1, np.uint8)},
        {"texts.ends": np.array([1]), "texts.utf8": np.full(1, 0xFF, np.uint8)},
    ],
)
def test_texts_that_end_where_there_is_nothing_are_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(TaskError, match="'texts'"):
        unpack_truth(write_npz(arrays))


@pytest.mark.parametrize("read", [unpack_truth, read_outputs])
def test_bytes_that_are_no_arrays_are_refused(read) -> None:
    with pytest.raises(TaskError, match=r"not a readable \.npz"):
        read(b"noise")
