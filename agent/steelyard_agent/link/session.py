"""One control session: hello, welcome, heartbeats, and messages both ways until it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.link.outgoing import Outgoing
from steelyard_protocol.v1.session_pb2 import ConnectRequest, ConnectResponse, Goodbye, Heartbeat, Hello, Welcome
from steelyard_protocol.v1.session_pb2_grpc import SessionServiceStub

if TYPE_CHECKING:
    from steelyard_protocol.v1.session_pb2_grpc import SessionServiceAsyncStub

    Call = grpc.aio.StreamStreamCall[ConnectRequest, ConnectResponse]

_log = logging.getLogger(__name__)

_WELCOME_TIMEOUT_S = 20.0
_GOODBYE_TIMEOUT_S = 1.0
_MIN_HEARTBEAT_S = 0.05
_DEFAULT_HEARTBEAT_S = 15.0


class Session:
    """A stream from its hello to its end. Use once."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        gate: QuietGate,
        heartbeat: Callable[[], Awaitable[Heartbeat]],
        on_welcome: Callable[[Welcome], None],
        on_message: Callable[[ConnectResponse], Awaitable[None]],
        on_any_message: Callable[[], None],
        wall_clock_s: Callable[[], float] = time.time,
    ) -> None:
        """Prepare a session on ``channel``.

        ``on_welcome`` is called once; ``on_message`` gets every later message that is not an acknowledgement, in
        order, after it was acknowledged; ``on_any_message`` is called for each of all. ``heartbeat`` is only
        called when no block is timed. ``wall_clock_s`` counts seconds since the epoch and may be wrong.
        """
        stub: SessionServiceAsyncStub = SessionServiceStub(channel)
        self._call: Call = stub.Connect()
        self._gate = gate
        self._heartbeat = heartbeat
        self._on_welcome = on_welcome
        self._on_message = on_message
        self._on_any_message = on_any_message
        self._wall_clock_s = wall_clock_s
        # The newest message that was read, and when (monotonic).
        self._heard = (0, 0)
        self._heartbeat_s = _DEFAULT_HEARTBEAT_S
        self._welcomed = asyncio.Event()
        self.outgoing = Outgoing(gate)

    async def run(self, hello: Hello, stop: asyncio.Event) -> str:
        """Talk until the stream ends or ``stop`` is set; return why it ended, in words.

        Raises:
            LinkDownError: The controller could not be reached, broke off, or did not welcome us.
        """
        self.outgoing.put(ConnectRequest(hello=hello))
        loops = [self._read_all(), self._write_all(), self._beat(), self._expect_welcome(), _stopped(stop)]
        tasks = [asyncio.ensure_future(loop) for loop in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                await self._say_goodbye(tasks[0])
            # The reader knows best why a stream ended: a writer only sees that it did.
            return next(task for task in tasks if task in done).result()
        finally:
            self._call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            _retrieve(tasks)
            self.outgoing.log_unread()

    async def _read_all(self) -> str:
        while True:
            message = await self._read()
            if message is None:
                return "the controller closed the session"
            self._heard = (message.message_id, time.monotonic_ns())
            self._on_any_message()
            kind = message.WhichOneof("payload")
            if kind == "acknowledgement":
                self.outgoing.acknowledged(message.acknowledgement.message_id)
                continue
            self.outgoing.acknowledge(message.message_id)
            if kind == "goodbye":
                return f"the controller said goodbye: {message.goodbye.reason or 'no reason given'}"
            if kind == "welcome":
                self._welcome(message.welcome)
            else:
                await self._on_message(message)

    async def _read(self) -> ConnectResponse | None:
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise LinkDownError(_why(error)) from error
        return message if isinstance(message, ConnectResponse) else None

    def _welcome(self, welcome: Welcome) -> None:
        if welcome.heartbeat_interval_ms > 0:
            self._heartbeat_s = max(_MIN_HEARTBEAT_S, welcome.heartbeat_interval_ms / 1000)
        if not self._welcomed.is_set():
            self._welcomed.set()
            self._on_welcome(welcome)

    async def _write_all(self) -> str:
        try:
            await self.outgoing.write_all(self._call.write)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            _log.debug("the stream takes no more messages: %s", error)
        return await _for_ever()  # The stream is over; its reader says why.

    async def _beat(self) -> str:
        await self._welcomed.wait()
        while True:
            await asyncio.sleep(self._heartbeat_s)
            # One heartbeat right after a timed block, however many fell due while it ran.
            await self._gate.quiet_over()
            self.outgoing.put(ConnectRequest(heartbeat=self._timed(await self._heartbeat())))

    def _timed(self, heartbeat: Heartbeat) -> Heartbeat:
        """Say what this device's clock shows, and by what the controller tells how far that is off."""
        message_id, heard_ns = self._heard
        heartbeat.device_now.FromNanoseconds(int(self._wall_clock_s() * 1e9))
        heartbeat.heard_message_id, heartbeat.held_ns = message_id, time.monotonic_ns() - heard_ns
        return heartbeat

    async def _expect_welcome(self) -> str:
        waiting = asyncio.ensure_future(self._welcomed.wait())
        try:
            await asyncio.wait({waiting}, timeout=_WELCOME_TIMEOUT_S)
        finally:
            waiting.cancel()
        if not self._welcomed.is_set():
            raise LinkDownError(f"the controller did not answer the hello within {_WELCOME_TIMEOUT_S:g} s")
        return await _for_ever()

    async def _say_goodbye(self, reading: asyncio.Future[str]) -> None:
        """Without a goodbye a controller cannot tell an agent that was stopped from one that died."""
        self.outgoing.put(ConnectRequest(goodbye=Goodbye(reason="the agent was stopped")))
        await self.outgoing.settle()
        ending = asyncio.ensure_future(self._call.done_writing())
        # The controller closes its side once it has read the goodbye; cancelling before that would overtake it.
        both: list[asyncio.Future[Any]] = [ending, reading]
        await asyncio.wait(both, timeout=_GOODBYE_TIMEOUT_S)
        _retrieve([ending])


async def _stopped(stop: asyncio.Event) -> str:
    await stop.wait()
    return "stopped"


async def _for_ever() -> str:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


def _retrieve(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Look at how finished tasks ended, so that asyncio does not report what nobody needs to hear."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def _why(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name.lower()}: {error.details() or 'no details'}"
