"""Who may keep nights over a network, and under which name they do."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from steelyard.identity.roles import Role
from steelyard_protocol.v1 import nightly_pb2, nightly_pb2_grpc
from tests.loopback.identity.conftest import Ports

SERVICE = nightly_pb2.DESCRIPTOR.services_by_name["NightlyService"]


async def let_in(channel: grpc.aio.Channel) -> set[str]:
    """Send every RPC an empty message, and return those that were not refused for who it came from."""
    stub = nightly_pb2_grpc.NightlyServiceStub(channel)
    found = set()
    for method in SERVICE.methods:
        try:
            await getattr(stub, method.name)(GetMessageClass(method.input_type)(), timeout=60)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                continue
        found.add(method.name)
    return found


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_read_reads_nights_and_who_may_run_keeps_them(ports: Ports, role: Role) -> None:
    person = await ports.user("ada", role)
    everything = {method.name for method in SERVICE.methods}
    reads = {name for name in everything if name.startswith(("Get", "List"))}
    async with person.channel() as channel:
        assert await let_in(channel) == (reads if role is Role.READ else everything)


async def test_a_device_has_no_part_in_nights(ports: Ports) -> None:
    holder = await ports.device()
    async with holder.channel() as channel:
        assert await let_in(channel) == set()


async def test_a_change_bears_the_name_of_the_certificate_whatever_the_request_says(ports: Ports) -> None:
    person = await ports.user("ada", Role.RUN)
    async with person.channel() as channel:
        stub = nightly_pb2_grpc.NightlyServiceStub(channel)
        given = nightly_pb2.Alert(alert_id="a1", suite_name="s", state="confirmed", json="{}", changed_by="somebody")
        changed = await stub.ChangeAlert(nightly_pb2.ChangeAlertRequest(alert=given), timeout=60)
        silence = nightly_pb2.Silence(silence_id="s1", json="{}", created_by="somebody")
        made = await stub.CreateSilence(nightly_pb2.CreateSilenceRequest(silence=silence), timeout=60)
        end = nightly_pb2.EndSilenceRequest(silence_id="s1", who="somebody")
        ended = await stub.EndSilence(end, timeout=60)
    assert [changed.alert.changed_by, made.silence.created_by, ended.silence.ended_by] == ["ada"] * 3
