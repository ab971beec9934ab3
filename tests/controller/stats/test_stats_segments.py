import numpy as np
import pytest

from steelyard.stats.segments import segment_jump


def rounds(random, count, level=1.0):
    return 1e6 * level * np.exp(random.normal(0.0, 0.02, count))


def test_a_planted_jump_is_noted_with_its_size():
    random = np.random.default_rng(11)
    note = segment_jump({0: rounds(random, 8), 1: rounds(random, 8, 1.2)})
    assert note.startswith("segment 1 differs from segment 0 by +")
    assert "measure again in one go" in note


def test_segments_of_one_device_stay_silent():
    random = np.random.default_rng(12)
    noted = [segment_jump({0: rounds(random, 6), 1: rounds(random, 5), 2: rounds(random, 4)}) for _ in range(2000)]
    assert np.mean([note is not None for note in noted]) <= 0.015


def test_short_segments_are_passed_over():
    random = np.random.default_rng(13)
    assert segment_jump({0: rounds(random, 8), 1: rounds(random, 2, 3.0)}) is None
    assert segment_jump({0: rounds(random, 8)}) is None
    assert segment_jump({}) is None
    note = segment_jump({2: rounds(random, 6, 2.0), 0: rounds(random, 6), 1: rounds(random, 2)})
    assert note.startswith("segment 2 differs from segment 0")


def test_segments_without_spread_differ_when_they_differ():
    assert segment_jump({0: [1.0] * 3, 1: [1.0] * 3}) is None
    assert segment_jump({0: [1.0] * 3, 1: [1.1] * 3}) is not None


def test_medians_of_nothing_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        segment_jump({0: [1.0, 0.0, 1.0]})
