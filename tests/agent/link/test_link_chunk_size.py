"""Chunks of uploads: as large as the link's rate makes a quarter of a second."""

from __future__ import annotations

import pytest

from steelyard_agent.link.chunk_size import CHUNK_BYTES, MIN_CHUNK_BYTES, ChunkSize


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def sent_at(rate_bytes_s: float, *, seconds: float) -> ChunkSize:
    clock = Clock()
    size = ChunkSize(clock_s=clock)
    while clock.now_s < 100 + seconds:
        clock.now_s += size.bytes / rate_bytes_s
        size.sent(size.bytes)
    return size


@pytest.mark.parametrize("rate_bytes_s", [125_000, 400_000])
def test_a_chunk_takes_a_quarter_of_a_second(rate_bytes_s: int) -> None:
    assert sent_at(rate_bytes_s, seconds=10).bytes == pytest.approx(rate_bytes_s / 4, rel=0.01)


def test_chunks_have_a_least_and_a_largest_size() -> None:
    assert sent_at(1_000, seconds=100).bytes == MIN_CHUNK_BYTES
    assert sent_at(100_000_000, seconds=2).bytes == CHUNK_BYTES


def test_buffers_that_fill_at_once_are_not_taken_for_a_rate() -> None:
    clock = Clock()
    size = ChunkSize(clock_s=clock)
    for _ in range(10):
        size.sent(size.bytes)
    assert size.bytes == MIN_CHUNK_BYTES
    for _ in range(200):
        # Eight writes return at once, the ninth waits for all of them.
        for wait_s in [0.0] * 8 + [9 * size.bytes / 125_000]:
            clock.now_s += wait_s
            size.sent(size.bytes)
    assert size.bytes < 2 * 125_000 / 4


def test_a_megabyte_that_buffers_swallow_at_the_start_makes_no_chunk_too_large() -> None:
    clock = Clock()
    size = ChunkSize(clock_s=clock)
    for number in range(400):
        # 125 kB/s once the first megabyte is under way.
        clock.now_s += 0.0001 if number * MIN_CHUNK_BYTES < 1_000_000 else size.bytes / 125_000
        size.sent(size.bytes)
        assert size.bytes < 1.2 * 125_000 / 4


def test_after_a_stall_chunks_are_small_and_grow_again() -> None:
    clock = Clock()
    size = ChunkSize(clock_s=clock)

    def send_for(seconds: float) -> None:
        until_s = clock.now_s + seconds
        while clock.now_s < until_s:
            clock.now_s += size.bytes / 400_000
            size.sent(size.bytes)

    send_for(5)
    clock.now_s += 20
    size.sent(size.bytes)
    assert size.bytes == MIN_CHUNK_BYTES
    send_for(5)
    assert size.bytes == pytest.approx(100_000, rel=0.05)
