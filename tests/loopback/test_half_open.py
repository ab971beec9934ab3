"""A session whose network swallows everything: neither side hears that the other is gone, both must notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from steelyard.errors import SteelyardError
from steelyard.fleet.registry import Fleet
from steelyard.fleet.session_servicer import SessionHooks, SessionServicer
from steelyard.fleet.transport import SERVER_OPTIONS
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.link.channel import CHANNEL_OPTIONS
from steelyard_agent.link.session import Session
from steelyard_protocol.v1 import common_pb2, result_pb2, session_pb2, session_pb2_grpc
from tests.support.shaping_proxy import Shape, shaping_proxy

MOST_S = 45
# The real settings, run so many times as fast.
SPEED = 25
_TIMES = frozenset(
    {
        "grpc.keepalive_time_ms",
        "grpc.keepalive_timeout_ms",
        "grpc.http2.ping_timeout_ms",
        "grpc.http2.min_ping_interval_without_data_ms",
    }
)


def _faster(options: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(name, value // SPEED if name in _TIMES else value) for name, value in options]


@asynccontextmanager
async def _serving(fleet: Fleet) -> AsyncIterator[int]:
    async def register(_hello: session_pb2.Hello) -> None:
        """Everybody may come in."""

    async def record(_device_id: str, _ready: session_pb2.RoundReady) -> result_pb2.RoundResult:
        raise SteelyardError("none", "no results come here")

    async def recorded(_keys: list[result_pb2.ResultKey]) -> list[result_pb2.ResultKey]:
        return []

    hooks = SessionHooks(register=register, record=record, recorded=recorded, runs=lambda _job_id: False)
    # Heartbeats would show it, too; here only the transport's own pings may.
    servicer = SessionServicer(fleet, hooks, controller_id="c", heartbeat_interval_s=3600)
    server = grpc.aio.server(options=_faster(SERVER_OPTIONS))
    session_pb2_grpc.add_SessionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def _session(channel: grpc.aio.Channel, welcomed: asyncio.Event) -> Session:
    async def heartbeat() -> session_pb2.Heartbeat:
        return session_pb2.Heartbeat(activity="idle")

    async def ignore(_message: session_pb2.ConnectResponse) -> None:
        """No jobs come here."""

    return Session(
        channel,
        gate=QuietGate(),
        heartbeat=heartbeat,
        on_welcome=lambda _welcome: welcomed.set(),
        on_message=ignore,
        on_any_message=lambda: None,
    )


async def test_both_sides_of_a_half_open_session_notice() -> None:
    fleet, welcomed = Fleet(), asyncio.Event()
    hello = session_pb2.Hello(device=common_pb2.DeviceDescription(device_id="dev-0001", name="pi"), boot_id="b")
    async with _serving(fleet) as port, shaping_proxy(port, Shape()) as proxy:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{proxy.port}", options=_faster(CHANNEL_OPTIONS)) as channel:
            talking = asyncio.ensure_future(_session(channel, welcomed).run(hello, asyncio.Event()))
            await asyncio.wait_for(welcomed.wait(), 60)
            proxy.go_silent()
            with pytest.raises(LinkDownError, match=r"(?i)unavailable"):
                await asyncio.wait_for(talking, 60)
        async with asyncio.timeout(10):
            while fleet.present():
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("options", [CHANNEL_OPTIONS, SERVER_OPTIONS], ids=["agent", "controller"])
def test_the_pings_of_both_sides_are_so_frequent_that_nobody_stays_half_open_for_long(
    options: Sequence[tuple[str, int]],
) -> None:
    settings = dict(options)
    assert settings["grpc.keepalive_time_ms"] + settings["grpc.http2.ping_timeout_ms"] < MOST_S * 1000
    assert settings["grpc.keepalive_permit_without_calls"] == 1
