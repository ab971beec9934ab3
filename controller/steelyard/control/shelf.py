"""The rules of a shelf of devices, as people set them: tags, draining, quarantines, switches, replacements."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from steelyard.control.devices import Devices
from steelyard.control.power import Power
from steelyard.errors import UsageError
from steelyard.fleet.registry import Fleet
from steelyard.membership.administration import require_tags
from steelyard.power_switches.registry import make_switch
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2, fleet_pb2, health_pb2

_MAX_REASON_CHARACTERS = 500
MOST_CYCLES_AN_HOUR = 60


class Shelf:
    """Devices are named by name, id, or the first characters of an id. Used from one event loop.

    Every method raises NotFoundError for a device that nobody knows.
    """

    def __init__(self, *, store: AsyncStore, fleet: Fleet, devices: Devices, power: Power) -> None:
        self._store = store
        self._fleet = fleet
        self._devices = devices
        self._power = power

    async def tag(self, named: str, *, added: Sequence[str], removed: Sequence[str]) -> control_pb2.Device:
        """Add and remove tags.

        Raises:
            UsageError: ``invalid_tag``.
        """
        device = await self._found(named)
        more, fewer = require_tags(added), require_tags(removed)
        require_tags(sorted((set(device.tags) | set(more)) - set(fewer)))
        device_id = device.description.device_id
        await self._store.call(lambda store: store.access.change_tags(device_id, added=more, removed=fewer))
        return await self._changed(device_id)

    async def drain(self, named: str) -> control_pb2.Device:
        """Let a device finish what it does and take nothing new."""
        return await self._set_draining(await self._found(named), draining=True)

    async def end_drain(self, device: control_pb2.Device) -> control_pb2.Device:
        """Let a device take work again."""
        return await self._set_draining(device, draining=False)

    async def quarantine(self, named: str, reason: str) -> control_pb2.Device:
        """Send a device nothing new because its figures cannot be trusted.

        Raises:
            UsageError: ``no_reason``.
        """
        if not reason.strip():
            raise UsageError("no_reason", "a device is quarantined for a reason: say what its sentinel showed")
        device_id = (await self._found(named)).description.device_id
        said = reason.strip()[:_MAX_REASON_CHARACTERS]
        await self._store.call(lambda store: store.fleet.rules.set_quarantine(device_id, said))
        return await self._changed(device_id, "quarantined", f"nothing new is sent to it: {said}")

    async def lift(self, named: str, artifact: str) -> list[fleet_pb2.Quarantine]:
        """Trust a device and every artifact on it again, or one artifact only; return what was lifted.

        Raises:
            NotFoundError: ``artifact_not_found``.
        """
        device_id = (await self._found(named)).description.device_id
        digest = (await self._store.call(Store.find_artifact, artifact)).digest if artifact else ""
        lifted: list[fleet_pb2.Quarantine] = []
        if not artifact:
            lifted += await self._store.call(lambda store: store.fleet.quarantines.devices(device_id))
            await self._store.call(lambda store: store.fleet.rules.set_quarantine(device_id, ""))
        lifted += await self._store.call(lambda store: store.fleet.quarantines.lift(device_id, digest))
        for one in lifted:
            await self._log(device_id, "lifted", f"{one.artifact_name or 'the device'} is trusted again")
        self._fleet.changes.tell()
        return lifted

    async def quarantines(self, named: str, page_size: int, page_token: str) -> tuple[list[fleet_pb2.Quarantine], str]:
        """List what is quarantined on a device, on all for "": devices first, then artifacts, the newest first."""
        device_id = (await self._found(named)).description.device_id if named else ""
        found, token = await self._store.call(
            lambda store: store.fleet.quarantines.page(device_id, page_size, page_token)
        )
        if not page_token:
            found = [*await self._store.call(lambda store: store.fleet.quarantines.devices(device_id)), *found]
        return found, token

    async def events(self, named: str, page_size: int, page_token: str) -> tuple[list[health_pb2.DeviceEvent], str]:
        """List what happened to a device, the newest first."""
        device_id = (await self._found(named)).description.device_id
        return await self._store.call(lambda store: store.fleet.log.page(device_id, page_size, page_token))

    async def set_switch(self, named: str, switch: health_pb2.PowerSwitch) -> control_pb2.Device:
        """Say by which switch a device's supply goes off and on; an empty address takes it away. Nothing is switched.

        Raises:
            UsageError: ``bad_switch`` (also for a program that is missing here) or ``bad_cycle_count``.
        """
        device_id = (await self._found(named)).description.device_id
        if switch.address:
            make_switch(switch.address).require_usable()
        if switch.most_cycles_an_hour > MOST_CYCLES_AN_HOUR:
            raise UsageError(
                "bad_cycle_count",
                f"{switch.most_cycles_an_hour} times an hour is too often; take {MOST_CYCLES_AN_HOUR} at most",
            )
        await self._store.call(lambda store: store.fleet.rules.set_switch(device_id, switch))
        return await self._changed(device_id, "power", _switch_text(switch))

    async def switch_power(self, named: str, action: fleet_pb2.PowerAction.ValueType) -> control_pb2.Device:
        """Switch a device's supply now.

        Raises:
            UsageError: ``no_power_switch`` or ``no_power_action``.
            PowerError: The switch did not do it.
        """
        device = await self._found(named)
        if action == fleet_pb2.POWER_ACTION_CYCLE:
            # Shielded: whoever asked may go away while it is off.
            await asyncio.shield(self._power.cycle(device, "somebody asked for it"))
        elif action in {fleet_pb2.POWER_ACTION_ON, fleet_pb2.POWER_ACTION_OFF}:
            await self._power.turn(device, on=action == fleet_pb2.POWER_ACTION_ON)
        else:
            raise UsageError("no_power_action", f"{action} is no power action: take on, off or cycle")
        return await self._devices.find(device.description.device_id)

    async def replace(self, old: str, new: str) -> health_pb2.DeviceReplacement:
        """Let a device take the place of another one: series go on, with the change marked.

        Raises:
            UsageError: ``same_device``, ``already_replaced``, ``already_replaces`` or ``replaced_in_a_circle``.
        """
        ids = [(await self._found(one)).description.device_id for one in (old, new)]
        replacement = await self._store.call(lambda store: store.fleet.rules.replace(*ids))
        names = replacement.old_device_name, replacement.new_device_name
        await self._log(ids[0], "replaced", f"{names[1]} ({ids[1][:8]}) took its place")
        await self._log(ids[1], "replaced", f"it took the place of {names[0]} ({ids[0][:8]})")
        return replacement

    async def _found(self, named: str) -> control_pb2.Device:
        return await self._store.call(Store.find_device, named)

    async def _set_draining(self, device: control_pb2.Device, *, draining: bool) -> control_pb2.Device:
        device_id = device.description.device_id
        await self._store.call(lambda store: store.fleet.rules.set_draining(device_id, draining=draining))
        if draining:
            return await self._changed(device_id, "drained", "it finishes what it does and takes nothing new")
        return await self._changed(device_id, "resumed", "it takes work again")

    async def _changed(self, device_id: str, kind: str = "", message: str = "") -> control_pb2.Device:
        if kind:
            await self._log(device_id, kind, message)
        self._fleet.changes.tell()
        return await self._devices.find(device_id)

    async def _log(self, device_id: str, kind: str, message: str) -> None:
        await self._store.call(lambda store: store.fleet.log.append(device_id, kind, message))


def _switch_text(switch: health_pb2.PowerSwitch) -> str:
    if not switch.address:
        return "it has no power switch any more"
    most = switch.most_cycles_an_hour
    often = f"at most {most} times an hour where it hangs" if most else "only when somebody says so"
    return f"its power switch is {switch.address}, used {often}"
