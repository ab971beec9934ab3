"""Who may set the rules of a shelf over a network: those who administer, and nobody's device."""

from __future__ import annotations

import grpc
import pytest

from steelyard.identity.roles import Role
from steelyard_protocol.v1 import fleet_pb2, fleet_pb2_grpc, health_pb2
from tests.loopback.identity.conftest import Ports
from tests.support.certificate_holder import refused

READS = {"ListQuarantines", "ListDeviceEvents"}


async def reasons_of_calls(channel: grpc.aio.Channel) -> dict[str, str]:
    """Call everything of a device that nobody knows, and return why it was refused."""
    stub = fleet_pb2_grpc.FleetServiceStub(channel)
    # A program of the controller's machine would be run by it.
    switch = health_pb2.PowerSwitch(address="command:true {action}")
    requests = {
        "TagDevice": fleet_pb2.TagDeviceRequest(device="nobody", added=["a"]),
        "DrainDevice": fleet_pb2.DrainDeviceRequest(device="nobody"),
        "ListQuarantines": fleet_pb2.ListQuarantinesRequest(device="nobody"),
        "QuarantineDevice": fleet_pb2.QuarantineDeviceRequest(device="nobody", reason="why"),
        "LiftQuarantine": fleet_pb2.LiftQuarantineRequest(device="nobody"),
        "ListDeviceEvents": fleet_pb2.ListDeviceEventsRequest(device="nobody"),
        "SetPowerSwitch": fleet_pb2.SetPowerSwitchRequest(device="nobody", power_switch=switch),
        "SwitchPower": fleet_pb2.SwitchPowerRequest(device="nobody", action=fleet_pb2.POWER_ACTION_OFF),
        "ReplaceDevice": fleet_pb2.ReplaceDeviceRequest(old_device="nobody", new_device="nobody"),
    }
    service = fleet_pb2.DESCRIPTOR.services_by_name["FleetService"]
    assert {method.name for method in service.methods} == set(requests)
    return {
        name: (await refused(getattr(stub, name)(request, timeout=60))).reason for name, request in requests.items()
    }


@pytest.mark.parametrize("role", list(Role))
async def test_only_those_who_administer_change_rules(ports: Ports, role: Role) -> None:
    person = await ports.user("ada", role)
    async with person.channel() as channel:
        reasons = await reasons_of_calls(channel)
    let_in = {name for name, reason in reasons.items() if reason == "device_not_found"}
    assert let_in == (set(reasons) if role is Role.ADMINISTER else READS)
    assert set(reasons.values()) <= {"device_not_found", "role_too_low"}


async def test_a_device_changes_no_rules(ports: Ports) -> None:
    holder = await ports.device()
    async with holder.channel() as channel:
        assert set((await reasons_of_calls(channel)).values()) == {"not_for_this_caller"}
