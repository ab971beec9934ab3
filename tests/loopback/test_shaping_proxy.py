"""The bad network of the tests is as bad as it says, and no worse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice

import pytest

from tests.support.shaping_proxy import Shape, ShapingProxy, shaping_proxy


@asynccontextmanager
async def _echo(shape: Shape) -> AsyncIterator[ShapingProxy]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(64 * 1024):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        async with shaping_proxy(server.sockets[0].getsockname()[1], shape) as proxy:
            yield proxy
    finally:
        server.close()
        # What the proxy broke is told to our ends of it.
        await asyncio.sleep(0.01)


async def _there_and_back(proxy: ShapingProxy, size_bytes: int) -> float:
    """Send so many bytes and receive them again; return the seconds."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    began_s = loop.time()
    writer.write(bytes(size_bytes))
    assert await asyncio.wait_for(reader.readexactly(size_bytes), 20) == bytes(size_bytes)
    took_s = loop.time() - began_s
    writer.close()
    return took_s


async def test_a_rate_holds_also_for_two_connections_at_once() -> None:
    async with _echo(Shape(rate_bytes_s=1_000_000)) as proxy:
        one_s = await _there_and_back(proxy, 200_000)
        two_s = max(await asyncio.gather(_there_and_back(proxy, 200_000), _there_and_back(proxy, 200_000)))
    # Never faster than the rate, whatever else the machine does.
    assert one_s >= 0.2
    assert two_s >= 0.4


async def test_a_delay_delays_and_takes_nothing_from_the_rate() -> None:
    async with _echo(Shape(delay_s=0.1)) as proxy:
        small_s = await _there_and_back(proxy, 1)
        large_s = await _there_and_back(proxy, 1_600_000)
    assert small_s >= 0.2
    # A hundred reads of 16 KiB, each of which used to wait for the one before it: 20 s.
    assert large_s < 10 * small_s


async def test_what_is_silent_hears_nothing_more_not_even_the_end_and_a_new_connection_works() -> None:
    async with _echo(Shape()) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"
        proxy.go_silent()
        writer.write(b"b")
        await _there_and_back(proxy, 1000)
        waiting = asyncio.ensure_future(reader.read(1))
        assert not (await asyncio.wait({waiting}, timeout=0.2))[0]
        assert proxy.traffic.lost_bytes == 1
        proxy.cut()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(waiting, 60)
        writer.close()


async def test_a_cut_loses_what_is_on_its_way() -> None:
    async with _echo(Shape(delay_s=60)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(bytes(1000))
        while proxy.traffic.connection_count == 0:
            await asyncio.sleep(0.001)
        # Taken in by the proxy before the cut, which is in no hurry to deliver.
        await asyncio.sleep(0.1)
        proxy.cut()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(reader.read(1), 60)
        while proxy.traffic.lost_bytes == 0:
            await asyncio.sleep(0.001)
        assert proxy.traffic.lost_bytes == 1000
        assert proxy.traffic.up_bytes == 0
        writer.close()


def test_the_same_seed_makes_the_same_weather() -> None:
    def weather(seed: int, what: str = "cuts") -> list[float]:
        return list(islice(Shape(seed=seed).intervals_s(what, 20.0), 50))

    assert weather(1) == weather(1)
    assert weather(1) != weather(2)
    assert weather(1) != weather(1, "stalls")
    assert all(10 <= interval_s <= 30 for interval_s in weather(1))


def test_a_shape_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="rate_bytes_s 0"):
        Shape(rate_bytes_s=0)
