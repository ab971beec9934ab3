"""One controller of a device: dial it, talk, and dial again, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc.aio

from steelyard_agent.jobs.desk import JobDesk
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.link.access import Access
from steelyard_agent.link.backoff import Backoff
from steelyard_agent.link.port import GrpcPort
from steelyard_agent.link.session import Session
from steelyard_agent.state.errors import StateError
from steelyard_protocol.v1.session_pb2 import Heartbeat, Hello, Welcome

# What BoringSSL says within gRPC's own sentence, which means nothing to the device's owner.
_OTHER_AUTHORITY = "CERTIFICATE_VERIFY_FAILED"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParts:
    """What a link is made of; ``hello`` and ``heartbeat`` say what the device tells this controller."""

    access: Access
    port: GrpcPort
    desk: JobDesk
    gate: QuietGate
    device_id: str
    hello: Callable[[], Hello]
    heartbeat: Callable[[], Awaitable[Heartbeat]]
    backoff: Backoff
    wall_clock_s: Callable[[], float] = time.time


class ControllerLink:
    """Keeps one session with one controller. Make it and run it on the same event loop."""

    def __init__(self, parts: LinkParts) -> None:
        self._parts = parts
        self._failure_count = 0
        # Whether the last dial led to a session.
        self._welcomed = False

    @property
    def desk(self) -> JobDesk:
        """Where this controller's jobs are answered."""
        return self._parts.desk

    @property
    def port(self) -> GrpcPort:
        """The way to the controller."""
        return self._parts.port

    async def dial_for_ever(self, stop: asyncio.Event) -> None:
        """Hold a session whenever the controller can be reached, until ``stop`` is set; then say goodbye."""
        untried: list[str] = []
        while not stop.is_set():
            # Asked anew for each pass: a session or a renewal may have changed them.
            untried = untried or list(self._parts.access.addresses)
            address = untried.pop(0)
            self._welcomed = False
            try:
                why = await self._dial_once(address, stop)
            except (LinkDownError, StateError) as error:
                why = str(error)
            if stop.is_set():
                return
            if _OTHER_AUTHORITY in why:
                why = (
                    "whoever answers there shows no certificate of the authority that this device knows; if that was "
                    "changed: steelyard-agent controllers forget, and enroll again"
                )
            if self._welcomed:
                untried.clear()
            if untried:
                _log.warning("no session with %s (%s); trying %s", address, why, untried[0])
                continue
            self._failure_count += 1
            await _unless(stop, self._parts.access.recover(self._failure_count))
            delay_s = self._parts.backoff.delay_s(self._failure_count)
            _log.warning("no session with %s (%s); trying again in %.1f s", address, why, delay_s)
            await _unless(stop, asyncio.sleep(delay_s))

    async def _dial_once(self, address: str, stop: asyncio.Event) -> str:
        parts = self._parts
        async with parts.access.open(address) as channel:

            def welcomed(welcome: Welcome) -> None:
                self._welcomed, self._failure_count = True, 0
                _log.info("connected to controller %s at %s", welcome.controller_id, address)
                parts.access.welcomed(address, welcome)
                parts.port.opened(session.outgoing, channel, device_id=parts.device_id)
                parts.desk.heard()
                parts.desk.session_opened()

            session = Session(
                channel,
                gate=parts.gate,
                heartbeat=parts.heartbeat,
                on_welcome=welcomed,
                on_message=parts.desk.handle,
                on_any_message=parts.desk.heard,
                wall_clock_s=parts.wall_clock_s,
            )
            return await self._talk(session, channel, stop)

    async def _talk(self, session: Session, channel: grpc.aio.Channel, stop: asyncio.Event) -> str:
        talking = asyncio.ensure_future(session.run(self._parts.hello(), stop))
        renewing = asyncio.ensure_future(self._renew(channel))
        try:
            await asyncio.wait({talking, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if renewing.done():
                # A bug of ours: it only ends by one.
                renewing.result()
            return await talking
        finally:
            for task in (renewing, talking):
                task.cancel()
            await asyncio.wait({renewing, talking})
            self._parts.port.closed()

    async def _renew(self, channel: grpc.aio.Channel) -> None:
        await self._parts.port.wait_connected()
        await self._parts.access.keep_valid(channel)


async def _unless(stop: asyncio.Event, doing: Coroutine[Any, Any, None]) -> None:
    """Do it, but no longer than until ``stop``."""
    stopping, task = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(doing)
    try:
        await asyncio.wait({stopping, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.wait({stopping, task})
    if not task.cancelled():
        task.result()
