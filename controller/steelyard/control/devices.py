"""Which device a job means, and waiting until it is there; the device `local` is started on demand."""

from __future__ import annotations

import os
import time

from steelyard.control.job_end import JobEnd
from steelyard.control.pools import Pool, parse_pool
from steelyard.errors import DeviceError, NotFoundError
from steelyard.fleet.health_book import HealthBook
from steelyard.fleet.local_agent import LOCAL_NAME, LocalAgent
from steelyard.fleet.registry import Fleet, Presence
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

_LOCAL_START_TIMEOUT_S = 60.0
# An agent that cannot live is noticed before the whole time is over.
_LOCAL_LOOK_S = 0.5
_PAGE = 500


class Devices:
    """The devices of this controller: those in the store joined with those that are connected."""

    def __init__(self, *, store: AsyncStore, fleet: Fleet, local_agent: LocalAgent, health: HealthBook) -> None:
        self._store = store
        self._fleet = fleet
        self._health = health
        self._local_agent = local_agent

    async def check_known(self, name: str) -> None:
        """Raise NotFoundError for a device that never connected, or a pool without one; `local` is always known."""
        if name != LOCAL_NAME:
            await self._stand_in(name)

    async def runtimes(self, name: str) -> list[common_pb2.RuntimeDescription]:
        """Return the runtimes that a device described; none for `local` before its agent ever ran."""
        try:
            return list((await self._stand_in(name)).description.runtimes)
        except NotFoundError:
            return []

    async def core_count(self, name: str) -> int:
        """Return the logical cores of a device, 0 where it never described itself; `local` is this machine.

        Of a pool those of the device that has the fewest: what is planned must fit every one.
        """
        pool = parse_pool(name)
        try:
            found = await self.of_pool(pool) if pool is not None else [await self._stand_in(name)]
        except NotFoundError:
            return (os.cpu_count() or 0) if name == LOCAL_NAME else 0
        return min((one.description.logical_core_count for one in found), default=0)

    async def of_pool(self, pool: Pool) -> list[control_pb2.Device]:
        """Return the devices of a pool, in the order in which they were first seen."""
        found: list[control_pb2.Device] = []
        token = ""
        while True:
            devices, token = await self._store.call(Store.list_devices, _PAGE, token)
            found += [one for one in devices if pool.holds(one)]
            if not token:
                return found

    async def _stand_in(self, name: str) -> control_pb2.Device:
        """Return the device that is meant; of a pool one that is connected, where there is one.

        Raises:
            NotFoundError: ``device_not_found`` or ``pool_is_empty``.
        """
        pool = parse_pool(name)
        if pool is None:
            return await self._store.call(Store.find_device, name)
        found = await self.of_pool(pool)
        if not found:
            how = "steelyard device tag NAME +" + pool.name if pool.kind == "tag" else "steelyard device show NAME"
            raise NotFoundError("pool_is_empty", f"no device is in {pool}; see `steelyard device list` and `{how}`")
        online = (one for one in found if self._fleet.presence(one.description.device_id) is not None)
        return next(online, found[0])

    async def wait_online(self, name: str, timeout_s: float) -> str:
        """Return the id of a connected device, waiting a bounded time for it; starts `local`.

        Raises:
            JobEnd: DEVICE_LOST when it did not connect in time.
        """
        if name == LOCAL_NAME:
            return await self._wait_local()
        device = await self._store.call(Store.find_device, name)
        presence = await self._fleet.wait_for_device(device.description.device_id, timeout_s)
        if presence is None:
            # Its state now: it may have been let in, or refused, while it was waited for.
            device = await self._store.call(Store.find_device, device.description.device_id)
            raise JobEnd(
                control_pb2.JOB_STATE_DEVICE_LOST,
                "device_not_connected",
                f"device {name} did not connect within {timeout_s:.0f} s: {_what_to_do(device, name)}",
            )
        return presence.link.device_id

    async def _wait_local(self) -> str:
        try:
            await self._local_agent.ensure()
        except OSError as error:
            raise DeviceError("local_agent_failed", f"the local agent could not be started: {error}") from error

        def is_local(presence: Presence) -> bool:
            return presence.link.name == LOCAL_NAME

        deadline = time.monotonic() + _LOCAL_START_TIMEOUT_S
        while (presence := await self._fleet.wait_for(is_local, _LOCAL_LOOK_S)) is None:
            if self._local_agent.gave_up or time.monotonic() > deadline:
                trouble = "ended again and again" if self._local_agent.gave_up else "did not connect in time"
                raise JobEnd(
                    control_pb2.JOB_STATE_DEVICE_LOST,
                    "local_agent_silent",
                    f"the local agent {trouble}; its log is {self._local_agent.log_path}",
                )
        return presence.link.device_id

    async def description(self, device: str) -> common_pb2.DeviceDescription:
        """Return how a device that once connected described itself; of a pool, one of its devices.

        Raises:
            NotFoundError: it never did.
        """
        return (await self._stand_in(device)).description

    async def description_or_none(self, name: str) -> common_pb2.DeviceDescription | None:
        """Return how a device described itself, None for `local` before its agent ever ran."""
        try:
            return await self.description(name)
        except NotFoundError:
            return None

    async def emulated_by(self, device_id: str) -> str:
        """Return what the device said that it is emulated by, "" for a real one."""
        device = await self._store.call(Store.find_device, device_id)
        return device.description.emulated_by

    async def prepares(self, device_id: str, plan: plan_pb2.Plan) -> bool:
        """Return whether a runtime of the plan may compile its models there; the device knows which it does."""
        device = await self._store.call(Store.find_device, device_id)
        compiling = {(one.name, one.environment) for one in device.description.runtimes if one.compiling_providers}
        return any((one.runtime.name, one.runtime.environment) in compiling for one in plan.artifacts)

    async def processor_features(self, name: str) -> frozenset[str]:
        """Return the features of a device's processor that matter for compressed models; none for no device.

        Of a pool those that every device has.
        """
        if not name:
            return frozenset()
        if name == LOCAL_NAME:
            name = await self.wait_online(LOCAL_NAME, 0.0)
        pool = parse_pool(name)
        if pool is not None:
            each = [frozenset(one.description.processor_features) for one in await self.of_pool(pool)]
            return frozenset.intersection(*each) if each else frozenset()
        device = await self._store.call(Store.find_device, name)
        return frozenset(device.description.processor_features)

    async def all(self, page_size: int, page_token: str) -> tuple[list[control_pb2.Device], str]:
        """Return a page of devices with what is known of them now."""
        devices, token = await self._store.call(Store.list_devices, page_size, page_token)
        return [self._with_presence(device) for device in devices], token

    async def find(self, text: str) -> control_pb2.Device:
        """Return one device by name, id, or the first characters of its id; `local` is started if it never ran.

        Raises:
            NotFoundError: no such device ever connected.
            DeviceError: the local agent does not come up.
        """
        if text == LOCAL_NAME and await self.description_or_none(LOCAL_NAME) is None:
            try:
                await self._wait_local()
            except JobEnd as end:
                raise DeviceError(end.reason, str(end)) from end
        return self._with_presence(await self._store.call(Store.find_device, text))

    def _with_presence(self, device: control_pb2.Device) -> control_pb2.Device:
        presence = self._fleet.presence(device.description.device_id)
        if presence is None:
            return device
        device.online = True
        device.activity = presence.activity
        device.running_job_id = presence.lease.job_id
        device.free_disk_bytes = presence.free_disk_bytes
        device.heartbeat_readings.extend(presence.readings)
        device.last_seen.FromNanoseconds(presence.last_seen_ns)
        health = self._health.of(device.description.device_id)
        if health is not None:
            device.health.CopyFrom(health)
        return device


def _what_to_do(device: control_pb2.Device, name: str) -> str:
    if device.standing == "suspended":
        return f"it is suspended, and `steelyard device resume {name}` lets it in again"
    if device.standing == "removed":
        return "it was removed, and comes back with a new code (`steelyard device invite`)"
    how = "" if device.standing else " --controller HOST:PORT"
    return f"see there that `steelyard-agent run{how}` runs and what it logs, and `steelyard device list`"
