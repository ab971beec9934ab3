"""A TCP proxy on loopback that is slow, stalls, cuts connections and goes silent: a bad network, on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

_READ_BYTES = 16 * 1024
# Two seconds of 1 Mbit/s. Less than a few of loopback's segments (64 KiB) makes the kernel drop and send anew until
# its time-out for unacknowledged data ends the connection.
_BUFFER_BYTES = 256 * 1024
# What a long delay may keep on its way without a rate: 4 MiB.
_MOST_CHUNKS_ON_THE_WAY = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a network behaves; both directions alike, each with a rate of its own that its connections share.

    ``rate_bytes_s`` None: as fast as it goes. About every ``stall_every_s`` nothing moves for ``stall_s``; about every
    ``cut_every_s`` all connections break (a reset, as when a router forgets them). "About" is half as long to half as
    long again, drawn by ``seed``.
    """

    rate_bytes_s: float | None = None
    delay_s: float = 0.0
    stall_every_s: float | None = None
    stall_s: float = 0.0
    cut_every_s: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rate_bytes_s", "stall_every_s", "cut_every_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} {value} is not above 0")

    def intervals_s(self, what: str, mean_s: float) -> Iterator[float]:
        """Yield the times between one event of a kind and the next, the same ones for the same seed."""
        drawn = random.Random(f"{self.seed}/{what}")
        while True:
            yield mean_s * drawn.uniform(0.5, 1.5)


@dataclass(slots=True)
class Traffic:
    """What went through, in bytes; ``up`` is from the client to the server.

    ``lost`` was on its way when its connection broke or went silent: sent, and never received.
    """

    up_bytes: int = 0
    down_bytes: int = 0
    lost_bytes: int = 0
    connection_count: int = 0
    cut_count: int = 0


@dataclass(slots=True, eq=False)
class _Connection:
    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    silent: bool = False
    broken: asyncio.Event = field(default_factory=asyncio.Event)

    def abort(self) -> None:
        self.broken.set()
        for end in self.ends:
            end.transport.abort()

    def reset(self) -> None:
        for end in self.ends:
            if (raw := end.get_extra_info("socket")) is not None and raw.fileno() >= 0:
                # Closed by a reset, not by a goodbye.
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()


@dataclass(slots=True)
class ShapingProxy:
    """Stands between clients and one server; made by ``shaping_proxy``."""

    target_host: str
    target_port: int
    shape: Shape
    traffic: Traffic = field(default_factory=Traffic)
    port: int = 0
    _open: set[_Connection] = field(default_factory=set)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _moving: asyncio.Event = field(default_factory=asyncio.Event)
    # When the link is free again, by direction (up?).
    _free_at_s: dict[bool, float] = field(default_factory=dict)

    def cut(self) -> None:
        """Break every connection, without a goodbye."""
        for connection in list(self._open):
            connection.reset()
        self.traffic.cut_count += 1

    def stall(self) -> None:
        """Let nothing through until ``go_on``; connections stay."""
        self._moving.clear()

    def go_on(self) -> None:
        """End a stall."""
        self._moving.set()

    def go_silent(self) -> None:
        """Swallow from now on all that comes on connections that are open, an end too: each side believes in the other.

        Later connections work.
        """
        for connection in self._open:
            connection.silent = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        self.traffic.connection_count += 1
        try:
            back_reader, back_writer = await self._dial()
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(ends=(writer, back_writer))
        self._open.add(connection)
        ways = [
            asyncio.ensure_future(self._carry(reader, back_writer, connection, is_up=True)),
            asyncio.ensure_future(self._carry(back_reader, writer, connection, is_up=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if connection.silent:
                # One side gave up; the other one must not hear of it.
                await connection.broken.wait()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.discard(connection)
            connection.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raw = _shallow_socket()
        try:
            await asyncio.get_running_loop().sock_connect(raw, (self.target_host, self.target_port))
        except BaseException:
            raw.close()
            raise
        return await asyncio.open_connection(sock=raw, limit=_READ_BYTES)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection, *, is_up: bool
    ) -> None:
        """Take what comes at the link's rate, and let it arrive after its delay."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_CHUNKS_ON_THE_WAY)
        both = {
            asyncio.ensure_future(self._take(reader, on_the_way, connection, is_up=is_up)),
            asyncio.ensure_future(self._arrive(on_the_way, writer, connection, is_up=is_up)),
        }
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            while not on_the_way.empty():
                self.traffic.lost_bytes += len(on_the_way.get_nowait()[1])

    async def _take(
        self,
        reader: asyncio.StreamReader,
        on_the_way: asyncio.Queue[tuple[float, bytes]],
        connection: _Connection,
        *,
        is_up: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        while chunk := await reader.read(_READ_BYTES):
            if connection.silent:
                self.traffic.lost_bytes += len(chunk)
                continue
            await self._moving.wait()
            await self._pay(len(chunk), is_up=is_up)
            await on_the_way.put((loop.time() + self.shape.delay_s, chunk))
        # A goodbye does not overtake what was said before it.
        await on_the_way.join()

    async def _pay(self, size_bytes: int, *, is_up: bool) -> None:
        if self.shape.rate_bytes_s is not None:
            now_s = asyncio.get_running_loop().time()
            self._free_at_s[is_up] = (
                max(self._free_at_s.get(is_up, now_s), now_s) + size_bytes / self.shape.rate_bytes_s
            )
            await asyncio.sleep(self._free_at_s[is_up] - now_s)

    async def _arrive(
        self,
        on_the_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        connection: _Connection,
        *,
        is_up: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s, chunk = await on_the_way.get()
            arrived = False
            try:
                if due_s > loop.time():
                    await asyncio.sleep(due_s - loop.time())
                await self._moving.wait()
                if not connection.silent:
                    writer.write(chunk)
                    await writer.drain()
                    arrived = True
            finally:
                self._count(len(chunk), arrived=arrived, is_up=is_up)
                on_the_way.task_done()

    def _count(self, size_bytes: int, *, arrived: bool, is_up: bool) -> None:
        if not arrived:
            self.traffic.lost_bytes += size_bytes
        elif is_up:
            self.traffic.up_bytes += size_bytes
        else:
            self.traffic.down_bytes += size_bytes

    async def close(self) -> None:
        """Break every connection and wait until nothing of them is left."""
        self.cut()
        self.go_on()
        if self._serving:
            await asyncio.wait(self._serving)
        # The last transports tell their ends now.
        await asyncio.sleep(0)

    async def weather(self) -> None:
        """Stall and cut by the shape, until cancelled."""
        await asyncio.gather(self._stalls(), self._cuts())

    async def _stalls(self) -> None:
        if self.shape.stall_every_s is not None:
            for wait_s in self.shape.intervals_s("stalls", self.shape.stall_every_s):
                await asyncio.sleep(wait_s)
                self.stall()
                await asyncio.sleep(self.shape.stall_s)
                self.go_on()

    async def _cuts(self) -> None:
        if self.shape.cut_every_s is not None:
            for wait_s in self.shape.intervals_s("cuts", self.shape.cut_every_s):
                await asyncio.sleep(wait_s)
                self.cut()


def _shallow_socket() -> socket.socket:
    """Return a socket that takes in little ahead: loopback's own buffers hold seconds of a slow link."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    raw.setblocking(False)
    # Before it connects or listens: the window is agreed on then.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    return raw


@contextlib.asynccontextmanager
async def shaping_proxy(target_port: int, shape: Shape, *, port: int = 0) -> AsyncIterator[ShapingProxy]:
    """Listen on 127.0.0.1 (any free port, or ``port``) in front of ``target_port`` there, within the block."""
    proxy = ShapingProxy(target_host="127.0.0.1", target_port=target_port, shape=shape)
    proxy.go_on()
    listener = _shallow_socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    server = await asyncio.start_server(proxy.serve, sock=listener, limit=_READ_BYTES)
    proxy.port = listener.getsockname()[1]
    weather = asyncio.ensure_future(proxy.weather())
    try:
        yield proxy
    finally:
        weather.cancel()
        await asyncio.gather(weather, return_exceptions=True)
        server.close()
        await proxy.close()
