"""Chunks read one ahead, in a thread."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import aclosing

import pytest

from steelyard.fleet.read_ahead import read_ahead


class Source:
    """Yields chunks, and notes the threads that it ran in and how it ended."""

    def __init__(self, count: int, *, error: Exception | None = None) -> None:
        self.threads: set[int] = set()
        self.made = 0
        self.closed = False
        self._count = count
        self._error = error

    def chunks(self) -> Generator[bytes, None, None]:
        try:
            for number in range(self._count):
                self.threads.add(threading.get_ident())
                self.made += 1
                yield bytes([number + 1])
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


async def test_every_chunk_comes_in_order_and_none_is_read_by_the_event_loop() -> None:
    source = Source(50)
    assert b"".join([chunk async for chunk in read_ahead(source.chunks())]) == bytes(range(1, 51))
    assert threading.get_ident() not in source.threads
    assert source.closed


async def test_never_more_than_one_chunk_is_read_ahead() -> None:
    source = Source(50)
    taken = 0
    async with aclosing(read_ahead(source.chunks())) as ahead:
        async for _ in ahead:
            taken += 1
            assert source.made <= taken + 1
            if taken == 10:
                break
    assert source.closed


async def test_an_error_at_the_end_is_raised_after_the_last_chunk() -> None:
    source = Source(2, error=OSError("damaged"))
    taken: list[bytes] = []

    async def take_all() -> None:
        async for chunk in read_ahead(source.chunks()):
            taken.append(chunk)  # noqa: PERF401 (what came before the error counts)

    with pytest.raises(OSError, match="damaged"):
        await take_all()
    assert taken == [b"\x01", b"\x02"]


async def test_a_transfer_that_is_cancelled_lets_go_of_its_file() -> None:
    source = Source(50)

    async def stuck() -> None:
        async with aclosing(read_ahead(source.chunks())) as ahead:
            async for _ in ahead:
                await asyncio.Event().wait()

    sending = asyncio.ensure_future(stuck())
    while source.made == 0:
        await asyncio.sleep(0.001)
    sending.cancel()
    await asyncio.wait({sending})
    assert source.closed
