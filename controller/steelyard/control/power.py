"""Switching the supply of devices, by hand and where one hangs; every time stands in the device's history."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from steelyard.errors import UsageError
from steelyard.power_switches.contract import PowerError, PowerSwitch
from steelyard.power_switches.registry import make_switch
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2

_log = logging.getLogger(__name__)

# Supplies hold a board alive for a second or two after they were cut.
PAUSE_S = 5.0
# A device that was switched off must come back.
_ON_TRIES = 3
CYCLED = "power_cycle"


class Power:
    """Used from one event loop; one switch at a time for each device."""

    def __init__(self, store: AsyncStore, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._store = store
        self._sleep = sleep
        self._locks: dict[str, asyncio.Lock] = {}

    async def turn(self, device: control_pb2.Device, *, on: bool) -> None:
        """Switch the supply of a device off or on.

        Raises:
            UsageError: ``no_power_switch``.
            PowerError: The switch did not do it.
        """
        switch = _switch_of(device)
        device_id = device.description.device_id
        async with self._lock(device_id):
            await asyncio.to_thread(switch.turn, on)
        await self._log(device_id, "power", f"its supply was switched {'on' if on else 'off'} by {switch.description}")

    async def cycle(self, device: control_pb2.Device, because: str) -> None:
        """Switch the supply off, wait, and switch it on; ``because`` stands in the device's history.

        Raises:
            UsageError: ``no_power_switch``.
            PowerError: The switch did not do it; the history says when the device may be off.
        """
        switch = _switch_of(device)
        device_id = device.description.device_id
        async with self._lock(device_id):
            # Before it is done: what was begun counts, whatever becomes of it.
            await self._log(device_id, CYCLED, f"its supply is switched off and on by {switch.description}: {because}")
            try:
                await asyncio.to_thread(switch.turn, False)
                await self._sleep(PAUSE_S)
            finally:
                # Also when switching off failed half way, or the controller ends.
                await asyncio.shield(self._on_again(device_id, switch))

    async def close(self) -> None:
        """Wait until every supply that was switched off to be cycled is on again."""
        for lock in list(self._locks.values()):
            async with lock:
                pass

    async def _on_again(self, device_id: str, switch: PowerSwitch) -> None:
        for tries_left in reversed(range(_ON_TRIES)):
            try:
                await asyncio.to_thread(switch.turn, True)
            except PowerError as error:  # noqa: PERF203 (a switch, three times at most)
                if not tries_left:
                    await self._log(device_id, "power", f"its supply may be off: {error}")
                    raise
                await self._sleep(PAUSE_S)
            else:
                return

    async def _log(self, device_id: str, kind: str, message: str) -> None:
        _log.info("device %s: %s", device_id, message)
        await self._store.call(lambda store: store.fleet.log.append(device_id, kind, message))

    def _lock(self, device_id: str) -> asyncio.Lock:
        return self._locks.setdefault(device_id, asyncio.Lock())


def _switch_of(device: control_pb2.Device) -> PowerSwitch:
    name = device.description.name
    if not device.power_switch.address:
        raise UsageError(
            "no_power_switch",
            f"device {name} has no power switch: `steelyard device power {name} --switch shelly://192.168.1.20/0`",
        )
    return make_switch(device.power_switch.address)
