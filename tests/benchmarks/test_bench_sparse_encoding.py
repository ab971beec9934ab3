"""What the rounds of the sparse encoding are made to say."""

from __future__ import annotations

import pytest
from benchmarks.figures import Figure
from benchmarks.sparse_encoding import verdicts

_ROUND = {"same_bits_on_x86": True, "largest_difference": 3e-7}


@pytest.mark.parametrize(
    ("low", "high", "word"), [(1.5, 1.7, "met"), (0.5, 0.9, "missed"), (0.9, 1.2, "undecided; run more rounds")]
)
def test_faster_than_dense_is_read_off_the_interval(low: float, high: float, word: str) -> None:
    speed = Figure(value=(low + high) / 2, low=low, high=high)
    assert verdicts([_ROUND], speed)[0].startswith(f"speed: {word}. Target: the sparse encoding is faster")


def test_one_round_with_other_bits_misses_the_target_and_the_largest_difference_is_told() -> None:
    other = {"same_bits_on_x86": False, "largest_difference": 2e-6}
    found = verdicts([_ROUND, other], Figure(value=2.0, low=1.9, high=2.1))
    assert found[1].startswith("outputs: missed.")
    assert "2.0e-06" in found[2]
    assert verdicts([_ROUND], Figure(value=2.0, low=1.9, high=2.1))[1].startswith("outputs: met.")
