"""The health of every device: in memory while it is connected, in the store when it comes and goes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from steelyard.fleet.health import DeviceHealth, Events
from steelyard.fleet.registry import Presence
from steelyard.store.errors import StoreError
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import health_pb2, session_pb2

_log = logging.getLogger(__name__)


class HealthBook:
    """Watches a fleet. Used from one event loop."""

    def __init__(
        self,
        store: AsyncStore,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Keep what lasts in ``store``; offsets are against ``clock_ns`` (since the epoch)."""
        self._store = store
        self._clock_ns = clock_ns
        self._monotonic_ns = monotonic_ns
        self._devices: dict[str, DeviceHealth] = {}
        # Of hellos whose sessions are not attached yet: the one before may still have to go.
        self._arriving: dict[str, DeviceHealth] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def of(self, device_id: str) -> health_pb2.DeviceHealth | None:
        """Return how a connected device fares; None for one that is not."""
        found = self._devices.get(device_id)
        return None if found is None else found.message

    async def hello(self, hello: session_pb2.Hello) -> None:
        """Take a hello in, before the store knows of it.

        Raises:
            StoreError: The database failed.
        """
        device_id = hello.device.device_id
        kept, version = await self._store.call(lambda store: store.fleet.rules.health(device_id))
        health = DeviceHealth(kept, monotonic_ns=self._monotonic_ns, clock_ns=self._clock_ns)
        events = health.hello(hello, version)
        self._arriving[device_id] = health
        await self._write(device_id, _copied(health), events)

    # -- what a fleet tells ---------------------------------------------------------------------------------------

    def came(self, presence: Presence) -> None:
        """See ``Watcher``; the hello said it all."""
        health = self._arriving.pop(presence.link.device_id, None)
        if health is not None:
            self._devices[presence.link.device_id] = health

    def heard(self, presence: Presence, heartbeat: session_pb2.Heartbeat) -> None:
        """See ``Watcher``."""
        health = self._devices.get(presence.link.device_id)
        if health is not None:
            events = health.heartbeat(heartbeat, presence.link.sent_ns(heartbeat.heard_message_id))
            if events:
                self._write_later(presence.link.device_id, _copied(health), events)

    def went(self, presence: Presence, reason: str) -> None:
        """See ``Watcher``."""
        device_id = presence.link.device_id
        health = self._devices.pop(device_id, None)
        # What a newer hello said is in the store already, and is not to be overwritten.
        kept = None if health is None or device_id in self._arriving else _copied(health)
        self._write_later(device_id, kept, [("left", f"left: {reason}")], seen_at_ns=presence.last_seen_ns)

    async def close(self) -> None:
        """Wait until everything is in the store."""
        while self._writing:
            await asyncio.wait(self._writing)

    def _write_later(
        self, device_id: str, health: health_pb2.DeviceHealth | None, events: Events, *, seen_at_ns: int = 0
    ) -> None:
        task = asyncio.ensure_future(self._write_or_warn(device_id, health, events, seen_at_ns))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_or_warn(
        self, device_id: str, health: health_pb2.DeviceHealth | None, events: Events, seen_at_ns: int
    ) -> None:
        try:
            await self._write(device_id, health, events, seen_at_ns)
        except StoreError as error:
            _log.warning("the history of device %s lacks a line: %s", device_id, error)

    async def _write(
        self, device_id: str, health: health_pb2.DeviceHealth | None, events: Events, seen_at_ns: int = 0
    ) -> None:
        def keep(store: Store) -> None:
            with store.batch():
                store.fleet.rules.note_seen(device_id, seen_at_ns)
                if health is not None:
                    store.fleet.rules.put_health(device_id, health)
                for kind, message in events:
                    store.fleet.log.append(device_id, kind, message)

        await self._store.call(keep)


def _copied(health: DeviceHealth) -> health_pb2.DeviceHealth:
    """Return what another thread may read while heartbeats go on."""
    copied = health_pb2.DeviceHealth()
    copied.CopyFrom(health.message)
    return copied
