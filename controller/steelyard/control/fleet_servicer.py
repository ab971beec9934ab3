"""FleetService: message in, domain call, message out. Roles were looked at before, by the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio

from steelyard.control.by_name import add_service
from steelyard_protocol.v1 import fleet_pb2

if TYPE_CHECKING:
    from steelyard.control.shelf import Shelf


class FleetServicer:
    """Serves those who look after devices; a method's name is its RPC's in snake case."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def tag_device(self, request: fleet_pb2.TagDeviceRequest) -> fleet_pb2.TagDeviceResponse:
        """Add and remove tags."""
        device = await self._shelf.tag(request.device, added=request.added, removed=request.removed)
        return fleet_pb2.TagDeviceResponse(device=device)

    async def drain_device(self, request: fleet_pb2.DrainDeviceRequest) -> fleet_pb2.DrainDeviceResponse:
        """Send a device nothing new."""
        return fleet_pb2.DrainDeviceResponse(device=await self._shelf.drain(request.device))

    async def list_quarantines(self, request: fleet_pb2.ListQuarantinesRequest) -> fleet_pb2.ListQuarantinesResponse:
        """Return a page of what is quarantined."""
        found, token = await self._shelf.quarantines(request.device, request.page_size, request.page_token)
        return fleet_pb2.ListQuarantinesResponse(quarantines=found, next_page_token=token)

    async def quarantine_device(self, request: fleet_pb2.QuarantineDeviceRequest) -> fleet_pb2.QuarantineDeviceResponse:
        """Trust a device no more."""
        device = await self._shelf.quarantine(request.device, request.reason)
        return fleet_pb2.QuarantineDeviceResponse(device=device)

    async def lift_quarantine(self, request: fleet_pb2.LiftQuarantineRequest) -> fleet_pb2.LiftQuarantineResponse:
        """Trust a device, or an artifact on it, again."""
        return fleet_pb2.LiftQuarantineResponse(lifted=await self._shelf.lift(request.device, request.artifact))

    async def list_device_events(
        self, request: fleet_pb2.ListDeviceEventsRequest
    ) -> fleet_pb2.ListDeviceEventsResponse:
        """Return a page of what happened to a device."""
        events, token = await self._shelf.events(request.device, request.page_size, request.page_token)
        return fleet_pb2.ListDeviceEventsResponse(events=events, next_page_token=token)

    async def set_power_switch(self, request: fleet_pb2.SetPowerSwitchRequest) -> fleet_pb2.SetPowerSwitchResponse:
        """Keep a device's switch."""
        device = await self._shelf.set_switch(request.device, request.power_switch)
        return fleet_pb2.SetPowerSwitchResponse(device=device)

    async def switch_power(self, request: fleet_pb2.SwitchPowerRequest) -> fleet_pb2.SwitchPowerResponse:
        """Switch a device's supply."""
        device = await self._shelf.switch_power(request.device, request.action)
        return fleet_pb2.SwitchPowerResponse(device=device)

    async def replace_device(self, request: fleet_pb2.ReplaceDeviceRequest) -> fleet_pb2.ReplaceDeviceResponse:
        """Let a device take another one's place."""
        replacement = await self._shelf.replace(request.old_device, request.new_device)
        return fleet_pb2.ReplaceDeviceResponse(replacement=replacement)


def add_fleet_service(servicer: FleetServicer, server: grpc.aio.Server) -> None:
    """Register every RPC of FleetService with the method of its name."""
    add_service(fleet_pb2, "FleetService", servicer, server)
