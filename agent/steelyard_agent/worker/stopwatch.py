"""Warm-up and timed samples. Clocks come in as arguments; nanoseconds everywhere."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from steelyard_agent.worker.block import Timing

Call = Callable[[], object]
Clock = Callable[[], int]

# A sample is at least this many times what reading the clock costs; shorter inferences are timed in inner batches.
CLOCK_COST_MARGIN = 100
_WINDOWS_COMPARED = 3
# Enough for 0.2 s of the shortest inference that is timed alone; bounds the memory of a long window.
MOST_SAMPLES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """How warm-up went; ``estimate_ns`` is the median inference of its last window."""

    duration_ns: int
    steady: bool
    estimate_ns: float


def warm_up(call: Call, timing: Timing, clock: Clock) -> WarmUp:
    """Run until three successive windows have medians within the tolerance, or until the cap.

    A fixed count is not enough: see docs/measuring.md (*Virtual Machine Warmup Blows Hot and Cold*, OOPSLA 2017).
    """
    start = clock()
    medians: list[float] = []
    while True:
        medians.append(_window_median(call, timing.warmup_window_ms * 1_000_000, clock))
        last = medians[-_WINDOWS_COMPARED:]
        steady = len(last) == _WINDOWS_COMPARED and max(last) - min(last) <= timing.warmup_tolerance * min(last)
        duration = clock() - start
        if steady or duration >= timing.warmup_cap_ms * 1_000_000:
            return WarmUp(duration_ns=duration, steady=steady, estimate_ns=medians[-1])


def clock_cost_ns(clock: Clock) -> int:
    """Return what a measurement of nothing reads: the median of 1,001 differences of successive clock reads."""
    differences = []
    for _ in range(1001):
        before = clock()
        differences.append(clock() - before)
    return int(median(differences))


def inner_batch_count(estimate_ns: float, cost_ns: int) -> int:
    """Return how many inferences a sample needs so that the clock's cost stays under a hundredth of it."""
    return max(1, -(-CLOCK_COST_MARGIN * cost_ns // max(1, int(estimate_ns))))


def take_samples(call: Call, timing: Timing, *, estimate_ns: float, inner_count: int, clock: Clock) -> tuple[int, ...]:
    """Time until the window is over and the least number of samples is there, or the sample store is full.

    Returns:
        Nanoseconds per inference, one value a sample; each is the mean of ``inner_count`` inferences.
    """
    store = sample_store(timing, estimate_ns=estimate_ns, inner_count=inner_count)
    return tuple(store[: fill_store(call, store, timing, inner_count=inner_count, clock=clock)])


def sample_store(timing: Timing, *, estimate_ns: float, inner_count: int, most: int = MOST_SAMPLES) -> array[int]:
    """Return room for about twice the samples that a window is expected to hold, ``most`` at most."""
    window_ns = timing.sample_window_ms * 1_000_000
    expected = int(2 * window_ns / max(1.0, estimate_ns * inner_count)) + timing.min_sample_count
    return array("q", bytes(8 * min(expected, max(most, timing.min_sample_count))))


def fill_store(call: Call, store: array[int], timing: Timing, *, inner_count: int, clock: Clock) -> int:
    """Time as ``take_samples`` does into ``store`` and return how many samples came."""
    if inner_count == 1:
        return _fill_singly(call, store, timing, clock)
    return _fill_batched(call, store, timing, clock, range(inner_count))


def run_window(call: Call, window_ns: int, inner_count: int, clock: Clock) -> tuple[int, int, int]:
    """Run back to back for a window; return its start, its end and the number of inferences in it."""
    turns = range(inner_count)
    count = 0
    start = now = clock()
    while now - start < window_ns:
        for _ in turns:
            call()
        count += inner_count
        now = clock()
    return start, now, count


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep Python's garbage collector out of timed windows."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _window_median(call: Call, window_ns: int, clock: Clock) -> float:
    durations = []
    start = after = clock()
    while after - start < window_ns:
        before = clock()
        call()
        after = clock()
        durations.append(after - before)
    return median(durations)


def _fill_singly(call: Call, store: array[int], timing: Timing, clock: Clock) -> int:
    least = timing.min_sample_count
    deadline = clock() + timing.sample_window_ms * 1_000_000
    for index in range(len(store)):
        before = clock()
        call()
        after = clock()
        store[index] = after - before
        if after >= deadline and index + 1 >= least:
            return index + 1
    return len(store)


def _fill_batched(call: Call, store: array[int], timing: Timing, clock: Clock, turns: range) -> int:
    least = timing.min_sample_count
    deadline = clock() + timing.sample_window_ms * 1_000_000
    for index in range(len(store)):
        before = clock()
        for _ in turns:
            call()
        after = clock()
        # Rounded: cutting off would take half a nanosecond from each, 1 % of an inference of 50 ns.
        store[index] = (after - before + len(turns) // 2) // len(turns)
        if after >= deadline and index + 1 >= least:
            return index + 1
    return len(store)
