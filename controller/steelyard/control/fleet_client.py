"""The part of the Python API that looks after a shelf of devices; reached as ``client.fleet``."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from steelyard.control.errors_on_wire import called
from steelyard_protocol.v1 import control_pb2, fleet_pb2, fleet_pb2_grpc, health_pb2

_TIMEOUT_S = 60.0
# A switch is told off, then on, several times if need be, and a command may take half a minute each time.
_POWER_TIMEOUT_S = 240.0


class FleetClient:
    """Every method raises ``steelyard.SteelyardError``; devices are named by name or id.

    Over a network they need the role "administer"; ``quarantines`` and ``events`` need "read".
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = fleet_pb2_grpc.FleetServiceStub(channel)

    def tag(self, name: str, *, added: Sequence[str] = (), removed: Sequence[str] = ()) -> control_pb2.Device:
        """Add and remove tags of a device; "tag:rack1" then stands for every device with that tag."""
        request = fleet_pb2.TagDeviceRequest(device=name, added=added, removed=removed)
        return called(lambda: self._stub.TagDevice(request, timeout=_TIMEOUT_S)).device

    def drain(self, name: str) -> control_pb2.Device:
        """Let a device finish what it does and take nothing new; ``client.identity.resume_device`` ends it."""
        request = fleet_pb2.DrainDeviceRequest(device=name)
        return called(lambda: self._stub.DrainDevice(request, timeout=_TIMEOUT_S)).device

    def quarantine(self, name: str, reason: str) -> control_pb2.Device:
        """Send a device nothing new because its figures cannot be trusted: its sentinel failed, say."""
        request = fleet_pb2.QuarantineDeviceRequest(device=name, reason=reason)
        return called(lambda: self._stub.QuarantineDevice(request, timeout=_TIMEOUT_S)).device

    def quarantines(self, name: str = "") -> list[fleet_pb2.Quarantine]:
        """Return what is quarantined on a device, on every one for ""."""
        found: list[fleet_pb2.Quarantine] = []
        token = ""
        while True:
            page = self._page_of_quarantines(name, token)
            found += page.quarantines
            token = page.next_page_token
            if not token:
                return found

    def lift_quarantine(self, name: str, artifact: str = "") -> list[fleet_pb2.Quarantine]:
        """Trust an artifact on a device again; for "" the device itself and every artifact there."""
        request = fleet_pb2.LiftQuarantineRequest(device=name, artifact=artifact)
        return list(called(lambda: self._stub.LiftQuarantine(request, timeout=_TIMEOUT_S)).lifted)

    def events(self, name: str, *, most: int = 50) -> list[health_pb2.DeviceEvent]:
        """Return the last ``most`` things that happened to a device, the newest first."""
        found: list[health_pb2.DeviceEvent] = []
        token = ""
        while len(found) < most:
            page = self._page_of_events(name, most - len(found), token)
            found += page.events
            token = page.next_page_token
            if not token:
                break
        return found[:most]

    def set_power_switch(self, name: str, address: str, *, most_cycles_an_hour: int = 0) -> control_pb2.Device:
        """Say by which switch a device's supply goes off and on; "" takes it away. See docs/fleet.md.

        ``most_cycles_an_hour`` above 0 lets the controller do so by itself where the device hangs.
        """
        switch = health_pb2.PowerSwitch(address=address, most_cycles_an_hour=most_cycles_an_hour)
        request = fleet_pb2.SetPowerSwitchRequest(device=name, power_switch=switch)
        return called(lambda: self._stub.SetPowerSwitch(request, timeout=_TIMEOUT_S)).device

    def switch_power(self, name: str, action: fleet_pb2.PowerAction.ValueType) -> control_pb2.Device:
        """Switch a device's supply off, on, or off and on again; returns when it was done."""
        request = fleet_pb2.SwitchPowerRequest(device=name, action=action)
        return called(lambda: self._stub.SwitchPower(request, timeout=_POWER_TIMEOUT_S)).device

    def replace(self, old: str, new: str) -> health_pb2.DeviceReplacement:
        """Let the device ``new`` take the place of ``old``: its series go on, with the change marked."""
        request = fleet_pb2.ReplaceDeviceRequest(old_device=old, new_device=new)
        return called(lambda: self._stub.ReplaceDevice(request, timeout=_TIMEOUT_S)).replacement

    def _page_of_quarantines(self, name: str, token: str) -> fleet_pb2.ListQuarantinesResponse:
        request = fleet_pb2.ListQuarantinesRequest(device=name, page_token=token)
        return called(lambda: self._stub.ListQuarantines(request, timeout=_TIMEOUT_S))

    def _page_of_events(self, name: str, size: int, token: str) -> fleet_pb2.ListDeviceEventsResponse:
        request = fleet_pb2.ListDeviceEventsRequest(device=name, page_size=size, page_token=token)
        return called(lambda: self._stub.ListDeviceEvents(request, timeout=_TIMEOUT_S))
