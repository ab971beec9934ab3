from __future__ import annotations

from itertools import islice
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.sampler.intervals import LONG_INTERVAL, SHORT_INTERVAL, intervals
from tests.support.energy_traces import aliasing_trace, energy_error


@given(start=st.floats(0, 1))
def test_the_mean_interval_is_one_period(start):
    taken = list(islice(intervals(start), 1000))
    assert sum(taken) / 1000 == pytest.approx(1, abs=0.01)
    assert set(taken) == {SHORT_INTERVAL, LONG_INTERVAL}
    assert (pytest.approx(0.65, abs=0.001), pytest.approx(1.567, abs=0.001)) == (SHORT_INTERVAL, LONG_INTERVAL)


def test_a_load_in_step_with_the_sampler_is_seen_in_all_its_phases():
    """A planted truth: a load paced at 50 Hz that is on for 30 % of its 20 ms, over 20 beginnings of the sequence."""
    errors = [energy_error(aliasing_trace(seed)) for seed in range(20)]
    assert sqrt(sum(error**2 for error in errors) / len(errors)) < 0.01


def test_evenly_spaced_samples_would_be_wrong_by_a_fifth():
    assert abs(energy_error(aliasing_trace(1, jitter=False))) > 0.15
