"""What a token of CI may do and what not, over the port that asks for certificates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from steelyard.identity.roles import Role
from steelyard.store.store import Store
from steelyard_protocol.v1 import (
    blob_pb2,
    control_pb2,
    control_pb2_grpc,
    enrollment_pb2,
    enrollment_pb2_grpc,
    fleet_pb2,
    identity_pb2,
    identity_pb2_grpc,
    nightly_pb2,
    upkeep_pb2,
)
from tests.controller.control.planned import add_model, ended, request_for, round_for
from tests.loopback.identity.conftest import Ports
from tests.loopback.identity.test_lying_devices import connected
from tests.support.certificate_holder import Holder, enroll, make_key, refused, request_pem

DAY_MS = 24 * 3600 * 1000
SERVICES = {
    "ControlService": control_pb2,
    "BlobService": blob_pb2,
    "FleetService": fleet_pb2,
    "NightlyService": nightly_pb2,
    "IdentityService": identity_pb2,
    "UpkeepService": upkeep_pb2,
    "RenewalService": enrollment_pb2,
}
MAY = {"CreateArtifact", "CreateTask", "SubmitMeasurement", "CancelJob", "Download", "QueryUpload", "Upload"}
NOT_FOR_TOKENS = {"not_for_a_token", "token_ends"}
WHOLLY_CLOSED = {
    "IdentityService": "not_for_a_token",
    "UpkeepService": "not_for_a_token",
    "RenewalService": "token_ends",
}

NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"devices": []}, "empty_scope"),
    ({"devices": ["nobody"]}, "device_not_found"),
    ({"devices": ["tag:a b"]}, "invalid_tag"),
    ({"name": "a b"}, "invalid_subject"),
    ({"valid_ms": 400 * DAY_MS}, "invalid_token_life"),
    ({"valid_ms": -1}, "invalid_token_life"),
    ({"request_pem": "none"}, "invalid_request"),
]


async def token(ports: Ports, *devices: str, name: str = "ci", valid_ms: int = 0) -> Holder:
    """A token as somebody who administers is given one over the network."""
    admin, key = await ports.user("root", Role.ADMINISTER), make_key()
    request = identity_pb2.IssueTokenRequest(
        request_pem=request_pem(key), name=name, valid_ms=valid_ms, devices=devices
    )
    async with admin.channel() as channel:
        response = await identity_pb2_grpc.IdentityServiceStub(channel).IssueToken(request, timeout=60)
    return Holder(
        device_id="",
        name=response.user.name,
        tags=tuple(response.user.scope),
        key=key,
        credentials=response.credentials,
    )


@pytest.fixture
async def rack(ports: Ports) -> str:
    """A device with a tag of its own and one that it shares with another device; returns the digest of a model."""
    await enroll(await ports.device_code(tags=("rack1", "shelf")), name="pi5")
    await enroll(await ports.device_code(tags=("shelf",)), name="other")
    return await add_model(ports.controller)


@pytest.fixture
async def holder(ports: Ports, rack: str) -> AsyncIterator[control_pb2_grpc.ControlServiceStub]:
    """The calls of a token for what has the tag."""
    async with (await token(ports, "tag:rack1")).channel() as channel:
        yield control_pb2_grpc.ControlServiceStub(channel)


def wanted(digest: str, device: str, **more: Any) -> control_pb2.SubmitMeasurementRequest:
    request = request_for([digest], device=device)
    request.MergeFrom(control_pb2.SubmitMeasurementRequest(**more))
    return request


async def reason_of(channel: grpc.aio.Channel, service: str, method: Any) -> str:
    """Send an empty message, and return why it was refused."""
    path = f"/steelyard_protocol.v1.{service}/{method.name}"
    request_type, answer_type = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    coded = {"request_serializer": request_type.SerializeToString, "response_deserializer": answer_type.FromString}
    try:
        if method.client_streaming:
            await channel.stream_unary(path, **coded)(iter([request_type()]), timeout=60)
        elif method.server_streaming:
            await channel.unary_stream(path, **coded)(request_type(), timeout=60).read()
        else:
            await channel.unary_unary(path, **coded)(request_type(), timeout=60)
    except grpc.aio.AioRpcError as error:
        return str(dict(error.trailing_metadata() or ()).get("steelyard-reason", ""))
    return ""


async def test_a_token_reads_adds_and_measures_and_calls_nothing_else(ports: Ports, rack: str) -> None:
    let_in = set()
    async with (await token(ports, "tag:rack1")).channel() as channel:
        for service, module in SERVICES.items():
            for method in module.DESCRIPTOR.services_by_name[service].methods:
                reason = await reason_of(channel, service, method)
                if reason not in NOT_FOR_TOKENS:
                    let_in.add(method.name)
                assert reason == WHOLLY_CLOSED.get(service, reason), method.name
    assert {name for name in let_in if not name.startswith(("Get", "List"))} == MAY
    assert {"ListDevices", "GetMeasurement", "ListNights", "ListQuarantines"} <= let_in


async def test_a_token_measures_within_its_scope(holder: control_pb2_grpc.ControlServiceStub, rack: str) -> None:
    for device in ("pi5", "tag:rack1"):
        submitted = await holder.SubmitMeasurement(wanted(rack, device), timeout=60)
        job = (await holder.GetJob(control_pb2.GetJobRequest(job_id=submitted.job_id), timeout=60)).job
        assert (job.submitted_by, job.device) == ("ci", device)


async def test_a_device_or_pool_that_is_not_wholly_within_the_scope_is_refused(
    holder: control_pb2_grpc.ControlServiceStub, rack: str
) -> None:
    for device in ("other", "tag:shelf"):
        refusal = await refused(holder.SubmitMeasurement(wanted(rack, device), timeout=60))
        assert refusal.reason == "outside_scope"
        assert "tag:rack1" in refusal.sentence


async def test_a_tag_that_a_device_lost_takes_it_out_of_the_scope(
    holder: control_pb2_grpc.ControlServiceStub, ports: Ports, rack: str
) -> None:
    found = await ports.controller.store.call(Store.find_device, "pi5")
    device_id = found.description.device_id
    await ports.controller.store.call(lambda store: store.access.change_tags(device_id, removed=["rack1"]))
    assert (await refused(holder.SubmitMeasurement(wanted(rack, "pi5"), timeout=60))).reason == "outside_scope"


async def test_a_token_names_no_meter_that_the_controller_would_ask(
    holder: control_pb2_grpc.ControlServiceStub, rack: str
) -> None:
    request = wanted(rack, "pi5", meters=["shelly:http://127.0.0.1:1"])
    assert (await refused(holder.SubmitMeasurement(request, timeout=60))).reason == "not_for_a_token"


async def test_a_measurement_outside_the_scope_is_not_gone_on_with(ports: Ports, rack: str) -> None:
    request = control_pb2.SubmitMeasurementRequest()
    async with connected(await ports.device("theirs")) as agent:
        job = await ports.controller.jobs.submit_measurement(wanted(rack, "theirs"))
        offer = await agent.accept_job()
        await agent.wait_for("round_grant")
        await agent.run_rounds([round_for(job.job_id, offer.plan, index) for index in range(3)])
        await ended(ports.controller, job.job_id)
        request.extended_job_id = job.job_id
        async with (await token(ports, "tag:rack1")).channel() as channel:
            stub = control_pb2_grpc.ControlServiceStub(channel)
            assert (await refused(stub.SubmitMeasurement(request, timeout=60))).reason == "outside_scope"
        async with (await token(ports, "theirs", name="lent")).channel() as channel:
            stub = control_pb2_grpc.ControlServiceStub(channel)
            assert (await stub.SubmitMeasurement(request, timeout=60)).job_id


async def test_a_token_cancels_its_own_jobs_only(
    holder: control_pb2_grpc.ControlServiceStub, ports: Ports, rack: str
) -> None:
    theirs = await ports.controller.jobs.submit_measurement(wanted(rack, "pi5"))
    mine = await holder.SubmitMeasurement(wanted(rack, "pi5"), timeout=60)
    refusal = await refused(holder.CancelJob(control_pb2.CancelJobRequest(job_id=theirs.job_id), timeout=60))
    assert refusal.reason == "another_job"
    cancelled = await holder.CancelJob(control_pb2.CancelJobRequest(job_id=mine.job_id), timeout=60)
    assert cancelled.job.state == control_pb2.JOB_STATE_CANCELLED


async def test_a_removed_token_is_void_at_once_also_in_a_call(ports: Ports, rack: str) -> None:
    job = await ports.controller.jobs.submit_measurement(wanted(rack, "pi5"))
    async with (await token(ports, "tag:rack1")).channel() as channel:
        control = control_pb2_grpc.ControlServiceStub(channel)
        request = control_pb2.ListEventsRequest(job_id=job.job_id, after_cursor=1 << 40, wait_ms=20_000)
        waiting = asyncio.ensure_future(control.ListEvents(request, timeout=60))
        while not len(ports.doors.live_calls):
            await asyncio.sleep(0)
        await ports.administration.remove_user("ci")
        assert (await refused(waiting)).reason == "user_removed"
        assert (await refused(control.ListJobs(control_pb2.ListJobsRequest()))).reason == "certificate_revoked"


async def test_another_token_of_the_same_name_ends_the_older_one(ports: Ports, rack: str) -> None:
    older = await token(ports, "tag:rack1")
    newer = await token(ports, "other", "pool:raspberry-pi-5")
    assert newer.tags == ("other", "pool:raspberry-pi-5")
    async with older.channel() as channel:
        call = control_pb2_grpc.ControlServiceStub(channel).ListJobs(control_pb2.ListJobsRequest())
        assert (await refused(call)).reason == "certificate_revoked"
    async with newer.channel() as channel:
        stub = control_pb2_grpc.ControlServiceStub(channel)
        assert (await refused(stub.SubmitMeasurement(wanted(rack, "pi5")))).reason == "outside_scope"
        assert (await stub.SubmitMeasurement(wanted(rack, "other"))).job_id


async def test_a_token_ends_when_it_was_said_to(ports: Ports, rack: str) -> None:
    holder = await token(ports, "pi5", valid_ms=2 * DAY_MS)
    life_s = holder.credentials.not_after.seconds - holder.credentials.now.seconds
    assert abs(life_s - 2 * DAY_MS // 1000) <= 1
    async with holder.channel() as channel:
        control = control_pb2_grpc.ControlServiceStub(channel)
        await control.ListJobs(control_pb2.ListJobsRequest(), timeout=60)
        ports.clock.moved_s = 2 * DAY_MS // 1000 + 1
        assert (await refused(control.ListJobs(control_pb2.ListJobsRequest()))).reason == "certificate_expired"
        renewal = enrollment_pb2_grpc.RenewalServiceStub(channel)
        request = enrollment_pb2.RenewRequest(request_pem=request_pem(holder.key))
        assert (await refused(renewal.Renew(request))).reason == "certificate_expired"


async def test_a_token_keeps_its_limits_after_a_restart(ports: Ports, rack: str) -> None:
    holder = await token(ports, "tag:rack1")
    await ports.doors.load()
    async with holder.channel() as channel:
        stub = control_pb2_grpc.ControlServiceStub(channel)
        assert (await refused(stub.SubmitMeasurement(wanted(rack, "other")))).reason == "outside_scope"


async def test_a_person_never_becomes_a_token_nor_a_token_a_person(ports: Ports, rack: str) -> None:
    admin = await ports.user("root", Role.ADMINISTER)
    await token(ports, "pi5")
    async with admin.channel() as channel:
        identity = identity_pb2_grpc.IdentityServiceStub(channel)
        made = identity_pb2.IssueTokenRequest(request_pem=request_pem(make_key()), name="root", devices=["pi5"])
        assert (await refused(identity.IssueToken(made, timeout=60))).reason == "user_taken"
        invited = identity_pb2.InviteUserRequest(name="ci", role=identity_pb2.USER_ROLE_ADMINISTER)
        assert (await refused(identity.InviteUser(invited, timeout=60))).reason == "user_is_token"
        users = (await identity.ListUsers(identity_pb2.ListUsersRequest(), timeout=60)).users
    assert {one.name: list(one.scope) for one in users} == {"root": [], "ci": ["pi5"]}


async def test_a_token_that_makes_no_sense_is_refused(ports: Ports, rack: str) -> None:
    admin = await ports.user("root", Role.ADMINISTER)
    good = {"request_pem": request_pem(make_key()), "name": "ci", "devices": ["pi5"]}
    async with admin.channel() as channel:
        stub = identity_pb2_grpc.IdentityServiceStub(channel)
        for change, reason in NONSENSE:
            asked = identity_pb2.IssueTokenRequest(**{**good, **change})
            assert (await refused(stub.IssueToken(asked, timeout=60))).reason == reason, change
        assert [one.name for one in (await stub.ListUsers(identity_pb2.ListUsersRequest())).users] == ["root"]


async def test_only_those_who_administer_make_tokens(ports: Ports) -> None:
    person = await ports.user("ada", Role.RUN)
    async with person.channel() as channel:
        stub = identity_pb2_grpc.IdentityServiceStub(channel)
        assert (await refused(stub.IssueToken(identity_pb2.IssueTokenRequest(), timeout=60))).reason == "role_too_low"
