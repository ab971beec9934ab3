"""A device that falls silent while a job holds it is switched off and on, within the bounds that were set for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from steelyard.control.power import CYCLED, Power
from steelyard.errors import SteelyardError
from steelyard.fleet.registry import Fleet, Presence
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import session_pb2

_log = logging.getLogger(__name__)

# A lease: until then the device may come back by itself, with its rounds.
SILENCE_S = 45.0
# A board boots within a minute, a phone within two.
BOOT_S = 120.0
_HOUR_NS = 3600 * 1_000_000_000


class PowerWatch:
    """Watches a fleet. Used from one event loop."""

    def __init__(
        self,
        *,
        store: AsyncStore,
        fleet: Fleet,
        power: Power,
        clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Count cycles by ``clock_ns`` (since the epoch)."""
        self._store = store
        self._fleet = fleet
        self._power = power
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def came(self, presence: Presence) -> None:
        """See ``Watcher``: what came back does not hang."""
        task = self._waiting.pop(presence.link.device_id, None)
        if task is not None:
            task.cancel()

    def heard(self, presence: Presence, heartbeat: session_pb2.Heartbeat) -> None:
        """See ``Watcher``; who speaks does not hang."""

    def went(self, presence: Presence, reason: str) -> None:
        """See ``Watcher``: whoever said goodbye, or did nothing for us, does not hang."""
        is_held = bool(presence.lease.job_id) or presence.quiet_s > 0
        device_id = presence.link.device_id
        if is_held and not reason.startswith("goodbye"):
            self._begin(device_id, reason)

    async def expect_held(self) -> None:
        """Watch the devices that jobs of an earlier controller hold: one that hung before does not come by itself.

        Raises:
            StoreError: The database failed.
        """
        for device_id in await self._store.call(_held_before):
            if self._fleet.presence(device_id) is None:
                self._begin(device_id, "it did not come back to a controller that was started again")

    async def close(self) -> None:
        """Stop watching; a supply that is off is switched on first."""
        tasks = list(self._waiting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, device_id: str, reason: str) -> None:
        if device_id not in self._waiting:
            task = asyncio.ensure_future(self._watch(device_id, reason))
            self._waiting[device_id] = task
            task.add_done_callback(lambda _task: self._forget(device_id, task))

    def _forget(self, device_id: str, task: asyncio.Task[None]) -> None:
        if self._waiting.get(device_id) is task:
            del self._waiting[device_id]

    async def _watch(self, device_id: str, reason: str) -> None:
        await self._sleep(SILENCE_S)
        try:
            while self._fleet.presence(device_id) is None and await self._cycle_once(device_id, reason):
                await self._sleep(BOOT_S)
        except SteelyardError as error:
            _log.warning("device %s hangs and was not switched off and on: %s", device_id, error)

    async def _cycle_once(self, device_id: str, reason: str) -> bool:
        """Cycle a device unless that was done too often; return whether it was done."""
        device = await self._store.call(Store.find_device, device_id)
        most = device.power_switch.most_cycles_an_hour
        if not most or device.standing in {"suspended", "removed"}:
            return False
        since_ns = self._clock_ns() - _HOUR_NS
        count = await self._store.call(lambda store: store.fleet.log.count_since(device_id, CYCLED, since_ns))
        if count >= most:
            message = f"it is silent and is not switched off and on again: that was done {count} times within an hour"
            await self._store.call(lambda store: store.fleet.log.append(device_id, "power", message))
            return False
        # Shielded: a device that comes back while its supply is off is switched on all the same.
        await asyncio.shield(self._power.cycle(device, f"it fell silent while a job held it ({reason})"))
        return True


def _held_before(store: Store) -> list[str]:
    """Return the devices that had the lease of a job which is not over, and that did not say goodbye since."""
    leases, log = store.fleet.leases, store.fleet.log
    held = {job.device_id for job in store.unfinished_jobs() if leases.newest(job.device_id, job.job_id)}
    return sorted(one for one in held if not log.last(one, ("connected", "left")).startswith("left: goodbye"))
