"""Warm-up and sampling on a clock that we own."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import chain, cycle, repeat

from steelyard_agent.worker.block import Timing
from steelyard_agent.worker.stopwatch import (
    clock_cost_ns,
    inner_batch_count,
    quiet_collector,
    run_window,
    take_samples,
    warm_up,
)

MS = 1_000_000
TIMING = Timing(sample_window_ms=10, warmup_window_ms=5, warmup_cap_ms=100, min_sample_count=4)


class FakeClock:
    """Moves by ``tick_ns`` with each reading, and by the given durations with each call of ``work``."""

    def __init__(self, durations_ns: Iterator[int], tick_ns: int = 0) -> None:
        self.now_ns = 1
        self.tick_ns = tick_ns
        self.call_count = 0
        self._durations_ns = durations_ns

    def __call__(self) -> int:
        self.now_ns += self.tick_ns
        return self.now_ns

    def work(self) -> None:
        self.call_count += 1
        self.now_ns += next(self._durations_ns)


def test_warm_up_ends_when_three_windows_agree() -> None:
    clock = FakeClock(chain([9 * MS, 6 * MS, 6 * MS], repeat(1 * MS)))
    warmth = warm_up(clock.work, TIMING, clock)
    assert warmth.steady
    assert warmth.estimate_ns == 1 * MS
    assert warmth.duration_ns == 36 * MS


def test_warm_up_gives_up_at_its_cap() -> None:
    clock = FakeClock(iter(range(5 * MS, 1000 * MS, MS)))
    warmth = warm_up(clock.work, TIMING, clock)
    assert not warmth.steady
    assert 100 * MS <= warmth.duration_ns < 150 * MS


def test_one_call_longer_than_the_cap_is_one_window() -> None:
    clock = FakeClock(repeat(300 * MS))
    assert warm_up(clock.work, TIMING, clock).duration_ns < 600 * MS
    assert clock.call_count == 1


def test_samples_fill_the_window() -> None:
    clock = FakeClock(repeat(1 * MS))
    samples = take_samples(clock.work, TIMING, estimate_ns=MS, inner_count=1, clock=clock)
    assert samples == (MS,) * 10


def test_a_slow_model_still_gives_the_least_number_of_samples() -> None:
    clock = FakeClock(repeat(50 * MS))
    samples = take_samples(clock.work, TIMING, estimate_ns=50 * MS, inner_count=1, clock=clock)
    assert samples == (50 * MS,) * 4


def test_short_inferences_are_timed_in_batches_and_divided() -> None:
    clock = FakeClock(repeat(1000), tick_ns=10)
    samples = take_samples(clock.work, TIMING, estimate_ns=1000, inner_count=100, clock=clock)
    assert set(samples) == {1000}
    assert clock.call_count == 100 * len(samples)


def test_the_mean_of_a_batch_is_rounded_not_cut_off() -> None:
    clock = FakeClock(cycle([1000, 1001]), tick_ns=0)
    samples = take_samples(clock.work, TIMING, estimate_ns=1000, inner_count=3, clock=clock)
    # 3001 / 3 is nearer to 1000, 3002 / 3 to 1001.
    assert set(samples) == {1000, 1001}


def test_a_store_that_is_full_ends_the_sampling() -> None:
    for inner_count in (1, 5):
        clock = FakeClock(repeat(1))
        estimate_ns = 10 * MS
        samples = take_samples(clock.work, TIMING, estimate_ns=estimate_ns, inner_count=inner_count, clock=clock)
        assert 4 <= len(samples) < 10


def test_the_clock_cost_decides_the_inner_batch() -> None:
    assert clock_cost_ns(FakeClock(repeat(0), tick_ns=70)) == 70
    assert inner_batch_count(7000, 70) == 1
    assert inner_batch_count(6999, 70) == 2
    assert inner_batch_count(0.0, 70) == 7000
    assert inner_batch_count(1000, 0) == 1


def test_a_window_counts_its_inferences() -> None:
    clock = FakeClock(repeat(1 * MS))
    start, end, count = run_window(clock.work, 20 * MS, 3, clock)
    assert (end - start, count) == (21 * MS, 21)


def test_the_collector_is_quiet_only_inside() -> None:
    with quiet_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
