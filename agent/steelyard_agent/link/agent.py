"""The agent's loop: dial, talk, and dial again, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from steelyard_agent import __version__
from steelyard_agent.jobs.desk import JobDesk
from steelyard_agent.jobs.errors import LinkDownError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.lease import LeaseKeeper
from steelyard_agent.jobs.messages import reading_message
from steelyard_agent.jobs.rounds import RoundTools
from steelyard_agent.jobs.wire import key_message, lease_message
from steelyard_agent.link.address import ControllerAddress
from steelyard_agent.link.backoff import Backoff
from steelyard_agent.link.blobs import BlobClient
from steelyard_agent.link.channel import open_channel
from steelyard_agent.link.port import GrpcPort
from steelyard_agent.link.session import Session
from steelyard_agent.readings import Reading
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_protocol.v1.common_pb2 import DeviceDescription
from steelyard_protocol.v1.session_pb2 import Heartbeat, Hello, Welcome

_log = logging.getLogger(__name__)

PROTOCOL_VERSION = 1
# A hello must stay far below the limit of a message; rounds beyond this are delivered all the same.
_MAX_HELLO_KEYS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    """What an agent is made of; tests replace the clocks, the disk and the block runner."""

    address: ControllerAddress
    description: DeviceDescription
    boot_id: str
    identity: IdentityFile
    outbox: Outbox
    cache: BlobCache
    rounds: RoundTools
    clock_s: Callable[[], float]
    free_bytes: Callable[[Path], int]
    read_temperature: Callable[[], list[Reading]]
    backoff: Backoff = field(default_factory=Backoff)


class Agent:
    """Keeps one session with one controller. Make it and run it on the same event loop."""

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts
        self._gate: QuietGate = parts.rounds.gate
        self._port = GrpcPort()
        self._failure_count = 0
        self.desk = JobDesk(
            leases=LeaseKeeper(parts.identity, clock_s=parts.clock_s),
            outbox=parts.outbox,
            cache=parts.cache,
            port=self._port,
            rounds=parts.rounds,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve the controller until ``stop`` is set.

        Raises:
            Exception: A bug of ours; the running worker is stopped first.
        """
        ending = asyncio.Event()
        loops = (self._dial_for_ever(ending), self.desk.delivery.run(), _wait_for(stop))
        tasks: list[asyncio.Future[None]] = [asyncio.ensure_future(loop) for loop in loops]
        try:
            done, _ = await asyncio.wait([*tasks, self.desk.bug], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First the worker, whose block keeps the link quiet; then the session can say goodbye.
            await self.desk.close()
            ending.set()
            await asyncio.wait({tasks[0]})
            for task in tasks[1:]:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    async def _dial_for_ever(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                why = await self._dial_once(stop)
            except LinkDownError as error:
                why = str(error)
            if stop.is_set():
                return
            self._failure_count += 1
            delay_s = self._parts.backoff.delay_s(self._failure_count)
            _log.warning("no session with %s (%s); trying again in %.1f s", self._parts.address, why, delay_s)
            await _pause(delay_s, stop)

    async def _dial_once(self, stop: asyncio.Event) -> str:
        async with open_channel(self._parts.address) as channel:
            blobs = BlobClient(channel, device_id=self._parts.identity.device_id)

            def welcomed(welcome: Welcome) -> None:
                self._failure_count = 0
                _log.info("connected to controller %s at %s", welcome.controller_id, self._parts.address)
                self._port.opened(session.outgoing, blobs)
                self.desk.heard()
                self.desk.session_opened()

            session = Session(
                channel,
                gate=self._gate,
                heartbeat=self._heartbeat,
                on_welcome=welcomed,
                on_message=self.desk.handle,
                on_any_message=self.desk.heard,
            )
            try:
                return await session.run(self._hello(), stop)
            finally:
                self._port.closed()

    def _hello(self) -> Hello:
        lease = self.desk.lease
        return Hello(
            device=self._parts.description,
            boot_id=self._parts.boot_id,
            agent_version=__version__,
            protocol_version=PROTOCOL_VERSION,
            lease=lease_message(lease) if lease is not None else None,
            unacknowledged=[key_message(key) for key in self.desk.unacknowledged()[:_MAX_HELLO_KEYS]],
        )

    async def _heartbeat(self) -> Heartbeat:
        # In a thread: a phone on a cable that hangs answers after seconds, and the link must live meanwhile.
        readings = await asyncio.to_thread(self._parts.read_temperature)
        lease = self.desk.lease
        return Heartbeat(
            activity=self.desk.activity,
            lease=lease_message(lease) if lease is not None else None,
            free_disk_bytes=self._parts.free_bytes(self._parts.cache.folder),
            readings=[reading_message(reading) for reading in readings],
        )


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def _pause(delay_s: float, stop: asyncio.Event) -> None:
    """Wait, but no longer than until ``stop``."""
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({stopping}, timeout=delay_s)
    stopping.cancel()
