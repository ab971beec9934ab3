"""Inputs drawn by signature fit their names and types."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard_agent.worker.contract import TensorSpec
from steelyard_agent.worker.drawing import draw_inputs
from steelyard_agent.worker.failure import BlockFailure, BlockStatus


def _draw(name: str, dtype: str, shape: tuple[int, ...] = (2, 50), seed: int = 0) -> np.ndarray:
    return draw_inputs([TensorSpec(name=name, dtype=dtype, shape=shape)], {name: shape}, seed)[name]


def test_floats_are_standard_normal_and_the_seed_decides() -> None:
    first, again, other = _draw("image", "float32"), _draw("image", "float32"), _draw("image", "float32", seed=1)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0.7 < first.std() < 1.3
    assert _draw("image", "float16").dtype == np.float16


@pytest.mark.parametrize("name", ["attention_mask", "mask", "decoder_attention_mask"])
def test_masks_are_ones(name: str) -> None:
    assert (_draw(name, "int64") == 1).all()


@pytest.mark.parametrize("name", ["state", "hidden_state", "h0", "past_key_values.0.key", "token_type_ids", "cache"])
def test_states_and_token_types_are_zeros(name: str) -> None:
    assert not _draw(name, "float32").any()


def test_positions_count_up() -> None:
    assert _draw("position_ids", "int64", (2, 3)).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_wide_whole_numbers_stay_small_and_bytes_span_their_range() -> None:
    tokens = _draw("input_ids", "int64")
    assert tokens.dtype == np.int64
    assert tokens.min() >= 0
    assert tokens.max() < 10
    assert _draw("image", "uint8", (100, 100)).max() > 200
    assert _draw("image", "int8", (100, 100)).min() < -100
    assert set(_draw("flag", "bool").ravel().tolist()) == {False, True}


@pytest.mark.parametrize("dtype", ["string", "bfloat16", "sequence(tensor(float))"])
def test_what_cannot_be_drawn_says_so(dtype: str) -> None:
    with pytest.raises(BlockFailure, match="measure with task data") as caught:
        _draw("text", dtype)
    assert caught.value.status is BlockStatus.UNSUPPORTED
