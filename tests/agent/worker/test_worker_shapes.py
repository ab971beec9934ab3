"""Dynamic dimensions get sizes, or a sentence says which size is missing."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.shapes import check_feeds, fixed_batch, resolve_shapes, shape_text

IMAGE = TensorSpec(name="image", dtype="float32", shape=("batch", 3, "height", "width"))
TOKENS = (
    TensorSpec(name="input_ids", dtype="int64", shape=("batch", "sequence")),
    TensorSpec(name="attention_mask", dtype="int64", shape=("batch", "sequence")),
)


def test_an_open_first_dimension_is_the_batch() -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=("", 4))
    assert resolve_shapes([spec], {}, 8) == {"x": (8, 4)}


def test_a_size_given_for_one_input_counts_for_the_same_symbol_of_another() -> None:
    shapes = resolve_shapes(TOKENS, {"input_ids": (2, 16)}, 1)
    assert shapes == {"input_ids": (2, 16), "attention_mask": (2, 16)}


def test_a_missing_size_names_the_input_the_dimension_and_the_flag() -> None:
    with pytest.raises(BlockFailure, match=r"'image'.*'height'.*--shape image=1x3x224x224") as caught:
        resolve_shapes([IMAGE], {}, 1)
    assert caught.value.status is BlockStatus.USER_ERROR
    nameless = TensorSpec(name="x", dtype="float32", shape=("", ""))
    with pytest.raises(BlockFailure, match=r"no size for dimension 1;.*--shape x=1x128"):
        resolve_shapes([nameless], {}, 1)


@pytest.mark.parametrize("given", [{"picture": (1, 3, 8, 8)}, {"image": (1, 4, 8, 8)}, {"image": (1, 3, 8)}])
def test_a_given_shape_that_does_not_fit_is_refused(given: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(BlockFailure, match="--shape"):
        resolve_shapes([IMAGE], given, 1)


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({}, "input_missing"),
        ({"image": np.zeros((1, 3, 8, 8), np.float32), "more": np.zeros(1)}, "input_unknown"),
        ({"image": np.zeros((1, 3, 8, 8))}, "wrong_dtype"),
        ({"image": np.zeros((1, 4, 8, 8), np.float32)}, "wrong_shape"),
        ({"image": np.zeros((3, 8, 8), np.float32)}, "wrong_shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(feeds: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(BlockFailure) as caught:
        check_feeds([IMAGE], feeds)
    assert (caught.value.status, caught.value.reason) == (BlockStatus.USER_ERROR, reason)


def test_arrays_that_fit_pass() -> None:
    assert check_feeds([IMAGE], {"image": np.zeros((2, 3, 8, 8), np.float32)}) is None


def test_a_fixed_batch_is_found_and_two_are_refused() -> None:
    fixed = TensorSpec(name="a", dtype="float32", shape=(4, 2))
    assert fixed_batch([fixed, IMAGE]) == 4
    assert fixed_batch([IMAGE]) is None
    with pytest.raises(BlockFailure, match="4, 5"):
        fixed_batch([fixed, TensorSpec(name="b", dtype="float32", shape=(5,))])


def test_shapes_read_well() -> None:
    assert [shape_text(shape) for shape in (("batch", 3, ""), (), (7,))] == ["batchx3x?", "()", "7"]
