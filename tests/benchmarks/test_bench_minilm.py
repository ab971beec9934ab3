"""Tweets, weights and the head of MiniLM: which tweets count, how a file of weights is read, what the head learns."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from benchmarks.compression.minilm import Tweet, rated_tweets, read_safetensors, trained_head


def test_tweets_near_zero_and_repeated_wordings_are_left_out() -> None:
    lines = [
        "1\t2.5\tSo lucky &amp; glad!\n",
        "2\t-0.4\tmeh\n",
        "3\t-1.5\tAwful.\r\n",
        "4\t1.0\tso LUCKY & glad\n",
        "5\t3\t!!\n",
    ]
    assert rated_tweets(lines) == [
        Tweet(text="So lucky & glad!", is_positive=True),
        Tweet(text="Awful.", is_positive=False),
    ]


def test_a_line_with_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns, not 3"):
        rated_tweets(["1\t2.5\n"])


def _file(dtype: str) -> bytes:
    values = np.arange(6, dtype="<f4")
    table = {"__metadata__": {"format": "pt"}, "w": {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, 24]}}
    header = json.dumps(table).encode()
    return struct.pack("<Q", len(header)) + header + values.tobytes()


def test_arrays_of_a_safetensors_file_have_their_shape_and_values() -> None:
    found = read_safetensors(_file("F32"))
    assert list(found) == ["w"]
    assert found["w"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_a_dtype_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match="w has the dtype BF16"):
        read_safetensors(_file("BF16"))


def test_the_head_finds_a_planted_direction_and_answers_with_two_logits() -> None:
    rng = np.random.default_rng(11)
    direction = rng.normal(size=16)
    samples = rng.normal(size=(400, 16)).astype(np.float32)
    is_positive = samples @ direction > 0.3
    head = trained_head(samples[:300], is_positive[:300])
    logits = samples[300:] @ head.weight.T + head.bias
    assert np.mean(logits.argmax(axis=1) == is_positive[300:]) > 0.95
    np.testing.assert_allclose(logits.sum(axis=1), 0.0, atol=1e-4)
