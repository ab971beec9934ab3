"""The agent: one session with each controller that it serves, one lease and one gate for all of them.

Which controllers these are may change while it runs: its owner joins one, or forgets one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from steelyard_agent import __version__
from steelyard_agent.enrollment.membership import MembershipFolder
from steelyard_agent.jobs.desk import JobDesk
from steelyard_agent.jobs.lease import LeaseKeeper
from steelyard_agent.jobs.messages import reading_message, timestamp
from steelyard_agent.jobs.round_tools import LaterTools, RoundTools
from steelyard_agent.jobs.wire import key_message, lease_message
from steelyard_agent.jobs.work_policy import AnyWork, WorkPolicy
from steelyard_agent.link.access import Access, EnrolledAccess, PlainAccess
from steelyard_agent.link.address import ControllerAddress
from steelyard_agent.link.backoff import Backoff
from steelyard_agent.link.controller_link import ControllerLink, LinkParts
from steelyard_agent.link.port import GrpcPort
from steelyard_agent.readings import Reading
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.errors import StateError
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_agent.state.outbox_share import OutboxShare
from steelyard_protocol.v1.common_pb2 import DeviceDescription
from steelyard_protocol.v1.session_pb2 import Heartbeat, Hello

PROTOCOL_VERSION = 1
# A hello must stay far below the limit of a message; rounds beyond this are delivered all the same.
_MAX_HELLO_KEYS = 200
# Joining is done by hand: whoever does it waits so long for the device to appear.
_LOOK_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    """What an agent is made of; tests replace the clocks, the disk and the block runner.

    It serves the controller at ``address``, or those of ``memberships``: one of both is given. ``look`` finds the
    memberships of now, each ``look_s``. ``clock_s`` is monotonic, ``wall_clock_s`` counts seconds since the epoch and
    may be wrong.
    """

    description: DeviceDescription
    boot_id: str
    identity: IdentityFile
    outbox: Outbox
    cache: BlobCache
    rounds: RoundTools | LaterTools
    clock_s: Callable[[], float]
    free_bytes: Callable[[Path], int]
    read_temperature: Callable[[], list[Reading]]
    address: ControllerAddress | None = None
    memberships: tuple[MembershipFolder, ...] = ()
    look: Callable[[], tuple[MembershipFolder, ...]] | None = None
    look_s: float = _LOOK_S
    policy: WorkPolicy = field(default_factory=AnyWork)
    wall_clock_s: Callable[[], float] = time.time
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        """Refuse an agent that would serve nobody, or a controller in two ways."""
        if (self.address is None) == (not self.memberships):
            raise ValueError(f"address {self.address} and {len(self.memberships)} memberships: one of both makes sense")


@dataclass(slots=True, kw_only=True)
class _Served:
    """A link with its tasks."""

    link: ControllerLink
    ending: asyncio.Event
    dialling: asyncio.Future[None]
    delivering: asyncio.Future[None]

    @classmethod
    def start(cls, link: ControllerLink) -> _Served:
        ending = asyncio.Event()
        return cls(
            link=link,
            ending=ending,
            dialling=asyncio.ensure_future(link.dial_for_ever(ending)),
            delivering=asyncio.ensure_future(link.desk.delivery.run()),
        )

    @property
    def ends(self) -> tuple[asyncio.Future[None], ...]:
        """What ends by a bug only."""
        return self.dialling, self.delivering, self.link.desk.bug

    async def stop(self) -> None:
        """Stop the worker first, whose block keeps the link quiet; then the session can say goodbye."""
        await self.link.desk.close()
        self.ending.set()
        self.delivering.cancel()
        await asyncio.wait({self.dialling, self.delivering})


class Agent:
    """Serves its controllers. Make it and run it on the same event loop."""

    def __init__(self, parts: AgentParts) -> None:
        """Wire the parts together.

        Raises:
            StateError: What is kept of a controller is damaged.
        """
        self._parts = parts
        # A restart that nobody saw is told by it.
        self._run_id = os.urandom(8).hex()
        self.leases = LeaseKeeper(parts.identity, clock_s=parts.clock_s)
        self._links = {name: self._link(access) for name, access in _accesses(parts).items()}

    @property
    def links(self) -> tuple[ControllerLink, ...]:
        """The links to the controllers that it serves now."""
        return tuple(self._links.values())

    @property
    def desk(self) -> JobDesk:
        """The desk of the first controller; the only one where there is one controller."""
        return self.links[0].desk

    async def run(self, stop: asyncio.Event) -> None:
        """Serve the controllers until ``stop`` is set.

        Raises:
            Exception: A bug of ours; the running worker is stopped first.
        """
        served = {name: _Served.start(link) for name, link in self._links.items()}
        stopping, looking = asyncio.ensure_future(_wait_for(stop)), self._next_look()
        try:
            while True:
                ends = [end for one in served.values() for end in one.ends]
                done, _ = await asyncio.wait([stopping, looking, *ends], return_when=asyncio.FIRST_COMPLETED)
                if done != {looking}:
                    break
                await self._look_again(served)
                looking = self._next_look()
        finally:
            stopping.cancel()
            looking.cancel()
            await asyncio.wait({stopping, looking})
            await asyncio.gather(*(one.stop() for one in served.values()))
        for task in done:
            task.result()

    def _next_look(self) -> asyncio.Future[None]:
        """Return what is done when memberships are to be looked at again; without any, never."""
        if self._parts.look is None:
            return asyncio.get_running_loop().create_future()
        return asyncio.ensure_future(asyncio.sleep(self._parts.look_s))

    async def _look_again(self, served: dict[str, _Served]) -> None:
        """Serve a controller that was joined meanwhile, and no longer one that was forgotten."""
        assert self._parts.look is not None
        folders = {folder.path.name: folder for folder in self._parts.look()}
        for name in served.keys() - folders.keys():
            _log.info("controller %s was forgotten: it is served no more", name)
            del self._links[name]
            await served.pop(name).stop()
        for name in sorted(folders.keys() - served.keys()):
            try:
                self._links[name] = self._link(_enrolled(folders[name], self._parts))
            except StateError as error:
                _log.warning("controller %s is not served: %s", name, error)
                continue
            _log.info("controller %s was joined: it is served from now on", name)
            served[name] = _Served.start(self._links[name])

    def _link(self, access: Access) -> ControllerLink:
        parts, port = self._parts, GrpcPort()
        # Rounds from before controllers were noted can only be those of the one that there was.
        only = len(parts.memberships) <= 1 and access.controller_id in {
            "",
            *(one.path.name for one in parts.memberships),
        }
        desk = JobDesk(
            leases=self.leases,
            outbox=OutboxShare(parts.outbox, controller_id=access.controller_id, takes_unnamed=only),
            cache=parts.cache,
            port=port,
            rounds=parts.rounds,
            policy=parts.policy,
            controller_id=access.controller_id,
        )

        async def heartbeat() -> Heartbeat:
            return await self._heartbeat(desk)

        return ControllerLink(
            LinkParts(
                access=access,
                port=port,
                desk=desk,
                gate=parts.rounds.gate,
                device_id=parts.identity.device_id,
                hello=lambda: self._hello(desk),
                heartbeat=heartbeat,
                backoff=parts.backoff,
                wall_clock_s=parts.wall_clock_s,
            )
        )

    def _hello(self, desk: JobDesk) -> Hello:
        lease = desk.lease
        return Hello(
            device=self._parts.description,
            boot_id=self._parts.boot_id,
            agent_version=__version__,
            protocol_version=PROTOCOL_VERSION,
            device_now=timestamp(int(self._parts.wall_clock_s() * 1e9)),
            run_id=self._run_id,
            lease=lease_message(lease) if lease is not None else None,
            unacknowledged=[key_message(key) for key in desk.unacknowledged()[:_MAX_HELLO_KEYS]],
        )

    async def _heartbeat(self, desk: JobDesk) -> Heartbeat:
        # In a thread: a phone on a cable that hangs answers after seconds, and the link must live meanwhile.
        readings = await asyncio.to_thread(self._parts.read_temperature)
        lease = desk.lease
        return Heartbeat(
            activity=self._activity(),
            lease=lease_message(lease) if lease is not None else None,
            free_disk_bytes=self._parts.free_bytes(self._parts.cache.folder),
            readings=[reading_message(reading) for reading in readings],
        )

    def _activity(self) -> str:
        """What the device does, whichever controller's work it is."""
        return next((link.desk.activity for link in self.links if link.desk.activity != "idle"), "idle")


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


def _accesses(parts: AgentParts) -> dict[str, Access]:
    """Return the ways to the controllers by their ids, "" for the one without certificates."""
    if parts.address is not None:
        return {"": PlainAccess(parts.address)}
    return {folder.path.name: _enrolled(folder, parts) for folder in parts.memberships}


def _enrolled(folder: MembershipFolder, parts: AgentParts) -> EnrolledAccess:
    return EnrolledAccess(folder, gate=parts.rounds.gate, clock_s=parts.wall_clock_s)
