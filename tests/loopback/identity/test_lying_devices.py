"""What a device with a good certificate may not do: other devices' jobs, blobs and results; messages past limits.

Each over the port with certificates; the table in docs/threat-model.md names the refusals.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from steelyard.identity.roles import Role
from steelyard.store.store import Store
from steelyard_protocol.v1 import (
    blob_pb2,
    blob_pb2_grpc,
    common_pb2,
    control_pb2,
    control_pb2_grpc,
    enrollment_pb2,
    enrollment_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
)
from tests.controller.control.planned import add_model, ended, request_for, round_for
from tests.controller.fleet.scripted_agent import ScriptedAgent, key_of
from tests.loopback.identity.conftest import Ports
from tests.support.certificate_holder import (
    Holder,
    Session,
    enroll,
    enrollment_channel,
    refused,
)

ROUND_COUNT = 3
MIB = 1024 * 1024


class CertifiedAgent(ScriptedAgent):
    """The agent by hand, with a certificate."""

    def __init__(self, holder: Holder) -> None:
        super().__init__("127.0.0.1:1", device_id=holder.device_id, name=holder.name)
        self._channel = holder.channel()
        self._sessions = session_pb2_grpc.SessionServiceStub(self._channel)
        self.blobs = blob_pb2_grpc.BlobServiceStub(self._channel)


@asynccontextmanager
async def connected(holder: Holder) -> AsyncIterator[CertifiedAgent]:
    async with CertifiedAgent(holder) as agent:
        await agent.say_hello()
        yield agent


class Rack:
    """A device that runs a job, and another one, enrolled as well, that is curious."""

    def __init__(self, mine: CertifiedAgent, theirs: CertifiedAgent, offer: session_pb2.JobOffer) -> None:
        self.mine = mine
        self.theirs = theirs
        self.offer = offer
        self.job_id = offer.job_id
        self.digest = offer.plan.artifacts[0].artifact_digest


@pytest.fixture
async def rack(ports: Ports) -> AsyncIterator[Rack]:
    first, second = await ports.device("mine"), await ports.device("theirs")
    async with connected(first) as mine, connected(second) as theirs:
        request = request_for([await add_model(ports.controller)], device="mine")
        job = await ports.controller.jobs.submit_measurement(request)
        offer = await mine.accept_job()
        await mine.wait_for("round_grant")
        assert offer.job_id == job.job_id
        yield Rack(mine, theirs, offer)


def grant(agent: ScriptedAgent, job_id: str) -> blob_pb2.BlobGrant:
    return blob_pb2.BlobGrant(device_id=agent.device_id, job_id=job_id, epoch=1)


async def finish(ports: Ports, rack: Rack) -> control_pb2.Job:
    rounds = [round_for(rack.job_id, rack.offer.plan, index) for index in range(ROUND_COUNT)]
    await rack.mine.run_rounds(rounds)
    return await ended(ports.controller, rack.job_id)


async def test_a_device_fetches_what_its_own_job_names_and_nothing_else(ports: Ports, rack: Rack) -> None:
    assert await rack.mine.download(rack.digest, rack.job_id) == ports.controller.blobs.read_bytes(rack.digest)
    secret = ports.controller.blobs.put_bytes(b"a model of somebody else")
    refusal = await refused(rack.mine.download(secret, rack.job_id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "not_in_job")


async def test_a_blob_of_another_devices_job_is_not_to_be_had(rack: Rack) -> None:
    for job_id in (rack.job_id, "", "job-of-nobody"):
        refusal = await refused(rack.theirs.download(rack.digest, job_id))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "not_in_job")


async def test_nothing_is_uploaded_for_another_devices_job(ports: Ports, rack: Rack) -> None:
    content = b"not a round"
    for job_id, reason in ((rack.job_id, "other_device"), ("job-of-nobody", "unknown_job")):
        refusal = await refused(rack.theirs.upload(content, job_id, refused_at=1))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, reason)
    assert not ports.controller.blobs.has(hashlib.sha256(content).hexdigest())


async def test_a_result_of_another_devices_job_is_not_recorded(ports: Ports, rack: Rack) -> None:
    made = round_for(rack.job_id, rack.offer.plan, 0)
    # The owner's own upload, so that the blob is there and only who says so is wrong.
    ready = await rack.mine.prepared(made)
    read = await rack.theirs.say(round_ready=ready)
    await rack.theirs.until(lambda: read in {one.message_id for one in rack.theirs.all("acknowledgement")})
    assert rack.theirs.all("result_acknowledgement") == []
    assert await ports.controller.store.call(Store.list_rounds, rack.job_id) == []
    await rack.mine.say(round_ready=ready)
    assert list((await rack.mine.wait_for("result_acknowledgement")).keys) == [key_of(made)]


async def test_a_device_neither_ends_nor_leases_nor_finishes_another_devices_job(ports: Ports, rack: Rack) -> None:
    error = common_pb2.ErrorInfo(reason="disk_full", message="said by somebody else")
    lease = session_pb2.Lease(job_id=rack.job_id, attempt=1, epoch=99, ttl_ms=1)
    lies = (
        {"job_failed": session_pb2.JobFailed(job_id=rack.job_id, attempt=1, error=error)},
        {"grant_finished": session_pb2.GrantFinished(job_id=rack.job_id, attempt=1, epoch=1)},
        {"lease_answer": session_pb2.LeaseAnswer(job_id=rack.job_id, attempt=1, lease=lease)},
        {"job_progress": session_pb2.JobProgress(job_id=rack.job_id, attempt=1, detail="said by somebody else")},
    )
    for lie in lies:
        read = await rack.theirs.say(**lie)
        await rack.theirs.until(
            lambda read=read: read in {one.message_id for one in rack.theirs.all("acknowledgement")}
        )
    job = await finish(ports, rack)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    told = [event.message for event in await ports.controller.store.call(Store.list_events, rack.job_id)]
    assert not [message for message in told if "somebody else" in message]


async def test_a_removed_device_neither_fetches_nor_brings_for_the_job_that_it_ran(ports: Ports, rack: Rack) -> None:
    await ports.administration.set_standing(rack.mine.device_id, "removed")
    for call in (rack.mine.download(rack.digest, rack.job_id), rack.mine.upload(b"late", rack.job_id, refused_at=1)):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "certificate_revoked")


async def test_a_path_is_no_name_of_a_blob(ports: Ports, tmp_path: Path) -> None:
    person = await ports.user("ada", Role.RUN)
    outside = tmp_path / "state" / "outside"
    names = (
        "../outside",
        "/etc/passwd",
        "../" * 8 + "etc/passwd",
        "0" * 62 + "/.",
        "0" * 63 + "\0",
        "0" * 64 + "\n",
        "",
    )
    async with person.channel() as channel:
        blobs = blob_pb2_grpc.BlobServiceStub(channel)
        for name in names:
            download = blobs.Download(blob_pb2.DownloadRequest(digest=name), timeout=60)
            assert (await refused(download.read())).reason == "invalid_digest", name
            query = blob_pb2.QueryUploadRequest(digest=name, size_bytes=1)
            assert (await refused(blobs.QueryUpload(query, timeout=60))).reason == "invalid_digest", name
            header = blob_pb2.UploadHeader(digest=name, size_bytes=1)
            upload = blobs.Upload(iter([blob_pb2.UploadRequest(header=header)]), timeout=60)
            assert (await refused(upload)).reason == "invalid_digest", name
            control = control_pb2_grpc.ControlServiceStub(channel)
            register = control.CreateArtifact(control_pb2.CreateArtifactRequest(digest=name, name="m"), timeout=60)
            assert (await refused(register)).code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}, name
    assert not outside.exists()


async def test_a_session_message_past_64_kib_ends_the_session_and_one_past_1_mib_is_not_even_read(
    ports: Ports,
) -> None:
    holder = await ports.device()
    for size, code in ((65 * 1024, grpc.StatusCode.RESOURCE_EXHAUSTED), (2 * MIB, grpc.StatusCode.RESOURCE_EXHAUSTED)):
        async with holder.channel() as channel:
            session = Session(channel)
            await session.open(holder.device_id)
            heartbeat = session_pb2.Heartbeat(activity="x" * size)
            await session.call.write(session_pb2.ConnectRequest(message_id=2, heartbeat=heartbeat))
            assert (await session.end()).code is code


async def test_a_message_that_unpacks_to_more_than_the_limit_is_refused(ports: Ports) -> None:
    """48 MiB of one letter are 48 kB under gzip: within the limit for what travels, far past that for what it is."""
    code = await ports.device_code()
    bomb = "a" * (48 * MIB)
    async with await enrollment_channel(code) as channel:
        stub = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
        request = enrollment_pb2.RenewExpiredRequest(certificate_pem=bomb)
        refusal = await refused(stub.RenewExpired(request, compression=grpc.Compression.Gzip, timeout=60))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    holder = await enroll(code)
    async with holder.channel() as channel:
        blobs = blob_pb2_grpc.BlobServiceStub(channel)
        query = blob_pb2.QueryUploadRequest(digest=bomb)
        refusal = await refused(blobs.QueryUpload(query, compression=grpc.Compression.Gzip, timeout=60))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_blob_larger_than_announced_is_cut_off(ports: Ports, rack: Rack) -> None:
    content = b"x" * 3000
    refusal = await refused(rack.mine.upload(content, rack.job_id, refused_at=2, size_bytes=500))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "too_many_bytes")
    refusal = await refused(rack.mine.upload(content, rack.job_id, refused_at=1, size_bytes=2**40))
    assert refusal.reason == "too_large"
    refusal = await refused(rack.mine.upload(content, rack.job_id, refused_at=1, size_bytes=-1))
    assert refusal.reason == "too_large"


async def test_the_names_that_a_device_gives_itself_say_nothing_about_who_it_is(ports: Ports) -> None:
    mine, theirs = await ports.device("mine"), await ports.device("theirs")
    async with mine.channel() as channel:
        await Session(channel).open(mine.device_id, theirs.name)
        presence = ports.controller.fleet.presence(mine.device_id)
        assert presence is not None
        assert presence.link.name == "mine"
    found = await ports.controller.devices.find("theirs")
    assert found.description.device_id == theirs.device_id
