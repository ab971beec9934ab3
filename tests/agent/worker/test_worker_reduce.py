"""Reducers say what plain numpy says, and NaN never wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard_agent.worker.block import KIND_EVALUATION, Block
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.reduce import Reduction


def _reduction(reducer: str, **settings_of_block: object) -> Reduction:
    return Reduction(
        block=Block(
            kind=KIND_EVALUATION,
            runtime_name="r",
            model_path="m",
            data_path="d",
            output_path="o",
            reducer=reducer,
            **settings_of_block,
        )
    )


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_argmax_is_numpys_over_all_batches(seed: int, sizes: list[int]) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, (sum(sizes), 6)).astype(np.float32)
    reduction = _reduction("argmax")
    for part in np.split(scores, np.cumsum(sizes)[:-1]):
        reduction.add({"logits": part, "other": part}, len(part))
    arrays = reduction.arrays()
    assert list(arrays) == ["argmax"]
    assert arrays["argmax"].dtype == np.int64
    assert np.array_equal(arrays["argmax"], scores.argmax(-1))


def test_a_sample_of_nothing_but_nan_is_minus_one_and_noted() -> None:
    nan = np.nan
    reduction = _reduction("argmax")
    reduction.add({"y": np.array([[nan, nan], [nan, -3.0], [1.0, np.inf]], np.float32)}, 3)
    assert reduction.arrays()["argmax"].tolist() == [-1, 1, 1]
    assert reduction.notes() == ("4 of 6 output values are NaN or infinite",)


def test_whole_number_scores_have_no_nan() -> None:
    reduction = _reduction("argmax")
    reduction.add({"y": np.array([[1, 5], [-7, -8]], np.int8)}, 2)
    assert reduction.arrays()["argmax"].tolist() == [1, 0]
    assert reduction.notes() == ()


def test_top_k_is_best_first_and_ties_keep_the_lower_index() -> None:
    reduction = _reduction("top_k", top_count=3)
    reduction.add({"y": np.array([[1.0, 3.0, 3.0, np.nan], [4.0, 1.0, 2.0, 3.0]], np.float32)}, 2)
    arrays = reduction.arrays()
    assert arrays["indices"].tolist() == [[1, 2, 0], [0, 3, 2]]
    assert arrays["scores"].tolist() == [[3.0, 3.0, 1.0], [4.0, 3.0, 2.0]]


def test_top_k_gives_all_where_there_are_fewer() -> None:
    reduction = _reduction("top_k", top_count=5)
    reduction.add({"y": np.array([[1.0, 3.0]], np.float32)}, 1)
    assert reduction.arrays()["indices"].tolist() == [[1, 0]]


def test_score_threshold_numbers_samples_through_all_batches() -> None:
    reduction = _reduction("score_threshold", score_threshold=0.5)
    for _ in range(2):
        reduction.add({"y": np.array([[0.5, 0.1], [np.nan, 0.9]], np.float32)}, 2)
    arrays = reduction.arrays()
    assert arrays["samples"].tolist() == [0, 1, 2, 3]
    assert arrays["indices"].tolist() == [0, 1, 0, 1]
    assert np.allclose(arrays["scores"], [0.5, 0.9, 0.5, 0.9])


def test_full_keeps_every_output_by_name() -> None:
    reduction = _reduction("full")
    for value in (1, 2):
        reduction.add({"a": np.full((1, 2), value), "b": np.float32(value)}, 1)
    arrays = reduction.arrays()
    assert arrays["a"].tolist() == [[1, 1], [2, 2]]
    assert arrays["b"].tolist() == [1, 2]


def test_the_quota_ends_the_evaluation_with_a_sentence() -> None:
    reduction = _reduction("full", output_quota_bytes=100)
    with pytest.raises(BlockFailure, match=r"120 bytes, over the quota of 100") as caught:
        reduction.add({"y": np.zeros((30,), np.float32)}, 30)
    assert caught.value.reason == "output_quota"


@pytest.mark.parametrize("values", [np.zeros(3, np.float32), np.zeros((4, 3), np.float32), np.array([["a"]] * 3)])
def test_outputs_that_are_no_scores_name_the_reducer_that_fits(values: np.ndarray) -> None:
    with pytest.raises(BlockFailure, match="use the reducer full") as caught:
        _reduction("argmax").add({"y": values}, 3)
    assert caught.value.status is BlockStatus.USER_ERROR
