import numpy as np
import pytest

from steelyard.stats.segments import segment_jump


def rounds(random, count, level=1.0):
    return 1e6 * level * np.exp(random.normal(0.0, 0.02, count))


def drifting(random, memory, count, sessions=1500):
    levels = np.empty((sessions, count))
    levels[:, 0] = random.normal(0.0, 0.02, sessions)
    for index in range(1, count):
        levels[:, index] = memory * levels[:, index - 1] + random.normal(0.0, 0.02 * np.sqrt(1 - memory**2), sessions)
    return 1e6 * np.exp(levels)


def test_a_planted_jump_is_noted_with_its_size():
    random = np.random.default_rng(11)
    note = segment_jump({0: rounds(random, 8), 1: rounds(random, 8, 1.2)})
    assert note.startswith("segment 1 differs from segment 0 by +")
    assert "measure again in one go" in note


def test_segments_of_one_device_stay_silent():
    random = np.random.default_rng(12)
    noted = [segment_jump({0: rounds(random, 6), 1: rounds(random, 5), 2: rounds(random, 4)}) for _ in range(2000)]
    assert np.mean([note is not None for note in noted]) <= 0.015


@pytest.mark.parametrize(("memory", "most"), [(0.3, 0.02), (0.5, 0.035), (0.7, 0.06)])
def test_a_device_that_drifts_as_recorded_ones_do_is_rarely_accused(memory, most):
    random = np.random.default_rng(14)
    noted = [segment_jump({0: one[:12], 1: one[12:]}) for one in drifting(random, memory, 24)]
    assert np.mean([note is not None for note in noted]) <= most


@pytest.mark.parametrize(("jump", "count", "least"), [(1.05, 12, 0.85), (1.1, 6, 0.75), (1.2, 6, 0.97)])
def test_a_jump_is_found_from_six_rounds_a_segment_on(jump, count, least):
    random = np.random.default_rng(15)
    found = [segment_jump({0: rounds(random, count), 1: rounds(random, count, jump)}) for _ in range(500)]
    assert np.mean([note is not None for note in found]) >= least


def test_a_jump_of_a_fifth_is_found_in_drift_as_well():
    random = np.random.default_rng(16)
    found = [segment_jump({0: one[:6], 1: 1.2 * one[6:]}) for one in drifting(random, 0.5, 12, sessions=500)]
    assert np.mean([note is not None for note in found]) >= 0.93


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
