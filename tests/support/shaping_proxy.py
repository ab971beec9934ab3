"""A TCP proxy on loopback that is slow, stalls, cuts connections and goes silent: a bad network, on purpose."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_READ_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a network behaves; both directions alike, each with a rate of its own.

    ``rate_bytes_s`` None: as fast as it goes. Every ``stall_every_s`` nothing moves for ``stall_s``; every
    ``cut_every_s`` all connections break (a reset, as when a router forgets them).
    """

    rate_bytes_s: float | None = None
    delay_s: float = 0.0
    stall_every_s: float | None = None
    stall_s: float = 0.0
    cut_every_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("rate_bytes_s", "stall_every_s", "cut_every_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} {value} is not above 0")


@dataclass(slots=True)
class Traffic:
    """What went through, in bytes; ``up`` is from the client to the server."""

    up_bytes: int = 0
    down_bytes: int = 0
    connection_count: int = 0
    cut_count: int = 0


@dataclass(slots=True)
class ShapingProxy:
    """Stands between clients and one server; made by ``shaping_proxy``."""

    target_host: str
    target_port: int
    shape: Shape
    traffic: Traffic = field(default_factory=Traffic)
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _moving: asyncio.Event = field(default_factory=asyncio.Event)
    _silent: bool = False

    def cut(self) -> None:
        """Break every connection, without a goodbye."""
        for writer in list(self._open):
            writer.transport.abort()
        self.traffic.cut_count += 1

    def stall(self) -> None:
        """Let nothing through until ``go_on``; connections stay."""
        self._moving.clear()

    def go_on(self) -> None:
        """End a stall."""
        self._moving.set()

    def go_silent(self) -> None:
        """Swallow all that comes on connections that are open: each side believes that the other is there."""
        self._silent = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        self.traffic.connection_count += 1
        self._silent = False
        try:
            back_reader, back_writer = await asyncio.open_connection(self.target_host, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back_writer}
        self._open |= pair
        ways = [
            asyncio.ensure_future(self._carry(reader, back_writer, is_up=True)),
            asyncio.ensure_future(self._carry(back_reader, writer, is_up=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open -= pair
            for end in pair:
                end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        loop = asyncio.get_running_loop()
        free_at_s = loop.time()
        silent = False
        while chunk := await reader.read(_READ_BYTES):
            silent = silent or self._silent
            if silent:
                continue
            await self._moving.wait()
            if self.shape.rate_bytes_s is not None:
                free_at_s = max(free_at_s, loop.time()) + len(chunk) / self.shape.rate_bytes_s
                await asyncio.sleep(free_at_s - loop.time())
            if self.shape.delay_s:
                await asyncio.sleep(self.shape.delay_s)
            writer.write(chunk)
            await writer.drain()
            if is_up:
                self.traffic.up_bytes += len(chunk)
            else:
                self.traffic.down_bytes += len(chunk)

    async def weather(self) -> None:
        """Stall and cut by the shape, until cancelled."""
        await asyncio.gather(self._stalls(), self._cuts())

    async def _stalls(self) -> None:
        while self.shape.stall_every_s is not None:
            await asyncio.sleep(self.shape.stall_every_s)
            self.stall()
            await asyncio.sleep(self.shape.stall_s)
            self.go_on()

    async def _cuts(self) -> None:
        while self.shape.cut_every_s is not None:
            await asyncio.sleep(self.shape.cut_every_s)
            self.cut()


@contextlib.asynccontextmanager
async def shaping_proxy(target_port: int, shape: Shape, *, port: int = 0) -> AsyncIterator[ShapingProxy]:
    """Listen on 127.0.0.1 (any free port, or ``port``) in front of ``target_port`` there, within the block."""
    proxy = ShapingProxy(target_host="127.0.0.1", target_port=target_port, shape=shape)
    proxy.go_on()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", port)
    proxy.port = server.sockets[0].getsockname()[1]
    weather = asyncio.ensure_future(proxy.weather())
    try:
        yield proxy
    finally:
        weather.cancel()
        await asyncio.gather(weather, return_exceptions=True)
        server.close()
        proxy.cut()
        proxy.go_on()
