from __future__ import annotations

import random
from itertools import accumulate, islice
from math import floor, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.sampler.intervals import intervals


@given(start=st.floats(0, 1))
def test_the_mean_interval_is_one_period(start):
    taken = list(islice(intervals(start), 1000))
    assert sum(taken) / 1000 == pytest.approx(1, abs=0.01)
    assert {round(one, 6) for one in taken} == {0.618034, 1.618034}


def errors(draw, *, count=1000):
    """Errors of the mean of a load with the sampler's own period that is on for 30 % of it, 2 W and 20 W."""
    out = []
    for seed in range(40):
        rng = random.Random(seed)
        # Reads are late by about 0.5 % of a period, as the loop's are.
        steps = [step + abs(rng.gauss(0, 0.005)) for step in draw(rng, count)]
        phases = [at - floor(at) for at in accumulate(steps)]
        measured = sum(20 if phase < 0.3 else 2 for phase in phases) / count
        out.append(measured / 7.4 - 1)
    return sqrt(sum(error**2 for error in out) / len(out))


def test_a_load_in_step_with_the_sampler_is_seen_in_all_its_phases():
    even = errors(lambda rng, count: [rng.random(), *[1.0] * (count - 1)])
    uniform = errors(lambda rng, count: [rng.uniform(0.5, 1.5) for _ in range(count)])
    golden = errors(lambda rng, count: list(islice(intervals(rng.random()), count)))
    assert golden < 0.01
    assert golden < uniform / 2 < even
