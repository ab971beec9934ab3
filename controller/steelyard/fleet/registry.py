"""Who is connected now, and which job listens to which device. Lives in memory; the store holds what must last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.fleet.changes import Changes
from steelyard.fleet.inbox import JobInbox, JobNews, LinkLost, LinkUp
from steelyard_protocol.v1 import common_pb2, session_pb2

# The last that was queued is the last that a device heard, but for what is under way.
_REMEMBERED_MESSAGES = 4


class DeviceLink:
    """The outgoing side of one agent's session: messages are queued, one writer task sends them."""

    def __init__(self, device_id: str, name: str) -> None:
        self.device_id = device_id
        self.name = name
        self.outgoing: asyncio.Queue[session_pb2.ConnectResponse | None] = asyncio.Queue()
        self._next_id = 1
        # When the last messages were queued: by these a round trip is told.
        self._sent: list[tuple[int, int]] = []

    def send(self, message: session_pb2.ConnectResponse) -> None:
        """Number a message and queue it."""
        message.message_id = self._next_id
        self._sent = [*self._sent[1 - _REMEMBERED_MESSAGES :], (self._next_id, time.monotonic_ns())]
        self._next_id += 1
        self.outgoing.put_nowait(message)

    def sent_ns(self, message_id: int) -> int | None:
        """Return when a message was queued, on the monotonic clock; None for none of the last ones."""
        return next((sent_ns for sent_id, sent_ns in self._sent if sent_id == message_id), None)

    def close(self) -> None:
        """Let the writer end after what is queued."""
        self.outgoing.put_nowait(None)


@dataclass(slots=True, kw_only=True)
class Presence:
    """What a connected device last said of itself."""

    link: DeviceLink
    hello: session_pb2.Hello
    last_seen_ns: int
    activity: str = "idle"
    free_disk_bytes: int = 0
    # Temperatures.
    readings: tuple[common_pb2.Reading, ...] = ()
    lease: session_pb2.Lease = field(default_factory=session_pb2.Lease)
    # The longest time a running job may keep the link quiet: its block time-out.
    quiet_s: float = 0.0


class Watcher(Protocol):
    """Is told at once what a fleet sees; must not block."""

    def came(self, presence: Presence) -> None:
        """A device connected."""
        ...

    def heard(self, presence: Presence, heartbeat: session_pb2.Heartbeat) -> None:
        """A device said how it fares."""
        ...

    def went(self, presence: Presence, reason: str) -> None:
        """A device's session ended, and no newer one took its place."""
        ...


class Fleet:
    """The connected devices. Used from one event loop only."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._present: dict[str, Presence] = {}
        self._inboxes: dict[str, JobInbox] = {}
        # The same by device, and who waits for which: with thousands of both nobody may look through all of them.
        self._inboxes_of: dict[str, dict[str, JobInbox]] = {}
        self._awaited: dict[str, set[asyncio.Future[None]]] = {}
        self._changed = asyncio.Condition()
        # Told when a device comes, goes or becomes free, and by whoever changes what it may do.
        self.changes = Changes()
        self.watchers: list[Watcher] = []

    def presence(self, device_id: str) -> Presence | None:
        """Return what is known of a connected device, None when it is not connected."""
        return self._present.get(device_id)

    def present(self) -> Iterable[Presence]:
        """Return every connected device."""
        return list(self._present.values())

    async def attach(self, link: DeviceLink, hello: session_pb2.Hello) -> None:
        """Take a device in; an older session of the same device is told goodbye."""
        before = self._present.get(link.device_id)
        if before is not None:
            goodbye = session_pb2.Goodbye(reason="this device opened a newer session")
            before.link.send(session_pb2.ConnectResponse(goodbye=goodbye))
            before.link.close()
        presence = Presence(link=link, hello=hello, last_seen_ns=self._clock_ns(), lease=hello.lease)
        self._present[link.device_id] = presence
        for waiting in self._awaited.pop(link.device_id, ()):
            if not waiting.done():
                waiting.set_result(None)
        self.tell_device(link.device_id, LinkUp(hello=hello))
        self.changes.tell()
        for watcher in self.watchers:
            watcher.came(presence)
        async with self._changed:
            self._changed.notify_all()

    async def detach(self, link: DeviceLink, reason: str) -> None:
        """Let a device go, unless a newer session has taken its place."""
        presence = self._present.get(link.device_id)
        if presence is None or presence.link is not link:
            return
        del self._present[link.device_id]
        self.tell_device(link.device_id, LinkLost(reason=reason))
        self.changes.tell()
        for watcher in self.watchers:
            watcher.went(presence, reason)
        async with self._changed:
            self._changed.notify_all()

    def seen(self, device_id: str, heartbeat: session_pb2.Heartbeat | None = None) -> None:
        """Note that a device spoke, and what it said of its state."""
        presence = self._present.get(device_id)
        if presence is None:
            return
        presence.last_seen_ns = self._clock_ns()
        if heartbeat is not None:
            presence.activity = heartbeat.activity
            presence.free_disk_bytes = heartbeat.free_disk_bytes
            presence.readings = tuple(heartbeat.readings)
            if presence.lease.job_id and not heartbeat.lease.job_id:
                self.changes.tell()
            presence.lease = heartbeat.lease
            for watcher in self.watchers:
                watcher.heard(presence, heartbeat)

    async def wait_for_device(self, device_id: str, timeout_s: float) -> Presence | None:
        """Return a device once it is connected, None when it does not come in time."""
        presence = self._present.get(device_id)
        if presence is not None:
            return presence
        came = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(device_id, set()).add(came)
        try:
            # Not asyncio.wait_for: see JobInbox.get.
            async with asyncio.timeout(timeout_s):
                await came
        except TimeoutError:
            return None
        finally:
            waiting = self._awaited.get(device_id, set())
            waiting.discard(came)
            if not waiting:
                self._awaited.pop(device_id, None)
        return self._present.get(device_id)

    async def wait_for(self, found: Callable[[Presence], bool], timeout_s: float) -> Presence | None:
        """Return the first connected device that ``found`` accepts, waiting a bounded time for it."""

        def match() -> Presence | None:
            return next((presence for presence in self._present.values() if found(presence)), None)

        async with self._changed:
            # Not asyncio.wait_for: see JobInbox.get.
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait_for(lambda: match() is not None)
            except TimeoutError:
                return None
            return match()

    def listen(self, job_id: str, device_id: str) -> JobInbox:
        """Open the inbox of a job."""
        inbox = JobInbox(job_id, device_id)
        self.unlisten(job_id)
        self._inboxes[job_id] = inbox
        self._inboxes_of.setdefault(device_id, {})[job_id] = inbox
        return inbox

    def unlisten(self, job_id: str) -> None:
        """Close the inbox of a job; what comes later is only recorded."""
        inbox = self._inboxes.pop(job_id, None)
        if inbox is None:
            return
        mine = self._inboxes_of[inbox.device_id]
        del mine[job_id]
        if not mine:
            del self._inboxes_of[inbox.device_id]

    def tell_job(self, job_id: str, news: JobNews, *, device_id: str) -> None:
        """Hand what a device says to the job that it is about, if that still listens, and to this device."""
        inbox = self._inboxes.get(job_id)
        if inbox is not None and inbox.device_id == device_id:
            inbox.put(news)

    def tell_device(self, device_id: str, news: JobNews) -> None:
        """Hand news of a device to every job that runs on it."""
        for inbox in list(self._inboxes_of.get(device_id, {}).values()):
            inbox.put(news)
