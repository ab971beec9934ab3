from __future__ import annotations

import random

import pytest

from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.slowdown import weigh_slowdown


def samples(rise, count=200, noise=0.01, seed=1):
    rng = random.Random(seed)
    return [int(1e6 * (1 + rise * index / count) * rng.gauss(1, noise)) for index in range(count)]


def test_latency_that_rises_is_a_hint_with_its_size():
    (hint,) = weigh_slowdown(samples(0.2)).hints
    assert hint == "latency rose by 14 % from the first quarter of the samples to the last"


@pytest.mark.parametrize("seed", range(20))
def test_steady_and_falling_latency_is_silent(seed):
    assert weigh_slowdown(samples(0.0, seed=seed)) == Weighed()
    assert weigh_slowdown(samples(-0.2, seed=seed)) == Weighed()


def test_a_few_hiccups_in_the_last_quarter_are_silent():
    steady = samples(0.0)
    assert weigh_slowdown([*steady[:180], *(5 * one for one in steady[180:])][:200]) == Weighed()


@pytest.mark.parametrize("latency_ns", [(), (1, 2, 3), [1] * 10 + [2] * 9, [0] * 100])
def test_too_few_samples_and_no_time_at_all_say_nothing(latency_ns):
    assert weigh_slowdown(latency_ns) == Weighed()
