"""Streams in threads, and whether they overlap."""

from __future__ import annotations

import time
from array import array

import pytest

from steelyard_agent.worker.block import Timing
from steelyard_agent.worker.lock_probe import keeps_lock
from steelyard_agent.worker.streams import in_turn, run_streams

TIMING = Timing(sample_window_ms=20, warmup_window_ms=2, min_sample_count=3)


def _stores(count: int) -> list[array]:
    return [array("q", bytes(8 * 1000)) for _ in range(count)]


def _calls_log(log: list[str], word: str):
    return lambda: log.append(word)


def test_all_streams_are_released_together_and_timed_until_the_last_is_done() -> None:
    log: list[str] = []
    counts = [0, 0, 0]

    def call_of(index: int):
        def call() -> None:
            counts[index] += 1
            time.sleep(0.001)

        return call

    samples = run_streams(
        [call_of(index) for index in range(3)],
        _stores(3),
        TIMING,
        inner_count=1,
        clock=time.perf_counter_ns,
        begin=_calls_log(log, "begin"),
        end=_calls_log(log, "end"),
    )
    assert log == ["begin", "end"]
    assert all(len(stream) >= TIMING.min_sample_count for stream in samples)
    # What ran before the release is not among the samples.
    assert all(count > len(stream) for count, stream in zip(counts, samples, strict=True))


@pytest.mark.parametrize("fails_after", [0, 3])
def test_a_stream_that_fails_ends_all_with_its_error(fails_after: int) -> None:
    left = [fails_after]

    def broken() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise ZeroDivisionError("that stream")
        time.sleep(0.0005)

    with pytest.raises(ZeroDivisionError, match="that stream"):
        run_streams(
            [lambda: time.sleep(0.0005), broken],
            _stores(2),
            TIMING,
            inner_count=1,
            clock=time.perf_counter_ns,
            begin=lambda: None,
            end=lambda: None,
        )


def test_samples_of_all_streams_come_in_turn() -> None:
    assert in_turn([(1, 2, 3), (10,), (20, 21)]) == (1, 10, 20, 2, 21, 3)


def test_a_call_that_computes_in_python_keeps_the_lock() -> None:
    def compute() -> None:
        for _ in range(10_000):
            pass

    assert keeps_lock(compute, 300_000.0)


def test_a_call_that_lets_go_of_the_lock_does_not_keep_it() -> None:
    assert not keeps_lock(lambda: time.sleep(0.001), 1_000_000.0)


def test_a_call_that_fails_in_the_probe_is_heard_of() -> None:
    def fail() -> None:
        raise ZeroDivisionError("in the probe")

    with pytest.raises(ZeroDivisionError, match="in the probe"):
        keeps_lock(fail, 1000.0)
