"""The relay that counts bytes, and what is said of an idle agent."""

from __future__ import annotations

import asyncio

import pytest
from benchmarks.counting_relay import CountingRelay
from benchmarks.idle_agent import cpu_verdict, memory_verdict


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(100):
        writer.write(chunk)
    writer.close()


async def test_a_relay_passes_both_ways_and_counts_every_byte() -> None:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    async with CountingRelay(f"{host}:{port}") as relay:
        reader, writer = await asyncio.open_connection(*relay.address.split(":"))
        for word in (b"weigh", b" ", b"me"):
            writer.write(word)
            assert await reader.readexactly(len(word)) == word
        assert relay.passed_bytes == 2 * len(b"weigh me")
        writer.close()
        assert await reader.read() == b""
    server.close()


@pytest.mark.parametrize(
    ("ratios", "said"),
    [([1.05, 1.06, 1.07], "met"), ([1.30, 1.31, 1.32], "missed"), ([1.0, 1.1, 1.2], "undecided")],
)
def test_memory_is_held_against_a_tenth_over_bare_python(ratios: list[float], said: str) -> None:
    assert memory_verdict("unique set", ratios).startswith(f"unique set: {said}")


def test_processor_time_is_held_against_a_thousandth_of_a_core() -> None:
    assert cpu_verdict([0.0004, 0.0005, 0.0006]).startswith("CPU of the agent: met")
    assert "0.050 %" in cpu_verdict([0.0004, 0.0005, 0.0006])
    assert cpu_verdict([0.002, 0.0021, 0.0022]).startswith("CPU of the agent: missed")
