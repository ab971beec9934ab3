"""Every refusal of the port that asks for certificates, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
import uuid
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc
from cryptography.hazmat.primitives import serialization

from steelyard.identity.authority import certificate_pem, make_authority, make_controller_certificate, sign_client
from steelyard.identity.join_code import decode_join_code
from steelyard.identity.roles import Role
from steelyard.identity.subjects import Subject
from steelyard_protocol.v1 import (
    blob_pb2,
    blob_pb2_grpc,
    control_pb2,
    control_pb2_grpc,
    enrollment_pb2,
    enrollment_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    session_pb2,
)
from tests.loopback.identity.conftest import Ports
from tests.support.certificate_holder import (
    OPTIONS,
    OWN_WRITE_FAILED,
    Holder,
    Refusal,
    Session,
    enroll,
    make_key,
    refused,
    request_pem,
)

DAY_S = 24 * 3600


def now() -> datetime:
    return datetime.now(tz=timezone.utc)


async def hello(holder: Holder, device_id: str = "") -> Refusal:
    for _ in range(5):
        async with holder.channel() as channel:
            refusal = await refused(Session(channel).open(device_id or holder.device_id))
        if (refusal.code, refusal.sentence) != OWN_WRITE_FAILED:
            break
    return refusal


async def renewed(holder: Holder) -> enrollment_pb2.Credentials:
    async with holder.channel() as channel:
        request = enrollment_pb2.RenewRequest(request_pem=request_pem(holder.key))
        response = await enrollment_pb2_grpc.RenewalServiceStub(channel).Renew(request, timeout=60)
        return response.credentials


async def test_an_enrolled_device_is_let_in_under_the_name_that_it_was_given(ports: Ports) -> None:
    first, second = await ports.device("rack"), await ports.device("rack")
    assert (first.name, second.name) == ("rack", "rack-2")
    async with second.channel() as channel:
        session = Session(channel)
        welcome = await session.open(second.device_id, "rack")
        assert welcome.controller_id == ports.controller.controller_id
        presence = ports.controller.fleet.presence(second.device_id)
        assert presence is not None
        assert presence.link.name == "rack-2"


def handshake(address: str, version: ssl.TLSVersion, identity: Path) -> str:
    """Return the version of TLS that a port agrees on with a client of one version, "" for none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(identity)
    # This side would do it.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as plain:
        try:
            with context.wrap_socket(plain) as wrapped:
                return wrapped.version() or ""
        except (ssl.SSLError, OSError):
            return ""


async def test_no_port_speaks_a_tls_older_than_1_2(ports: Ports, tmp_path: Path) -> None:
    holder, identity = await ports.device(), tmp_path / "identity.pem"
    key = holder.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    identity.write_bytes(key + holder.credentials.certificate_pem.encode())
    enrollment = decode_join_code(await ports.device_code()).addresses[0]
    for address in (ports.doors.secure_address, enrollment):
        assert await asyncio.to_thread(handshake, address, ssl.TLSVersion.TLSv1_1, identity) == ""
        assert await asyncio.to_thread(handshake, address, ssl.TLSVersion.TLSv1_2, identity) == "TLSv1.2"


async def test_the_control_socket_and_the_state_are_their_owners_alone(ports: Ports, tmp_path: Path) -> None:
    assert stat.S_IMODE(ports.controller.socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


async def test_without_a_certificate_nobody_comes_in(ports: Ports) -> None:
    holder = await ports.device()
    trust_only = grpc.ssl_channel_credentials(holder.credentials.authorities_pem.encode())
    name = ("grpc.ssl_target_name_override", holder.credentials.controller_name)
    async with grpc.aio.secure_channel(ports.doors.secure_address, trust_only, options=[*OPTIONS, name]) as channel:
        assert (await refused(Session(channel).open(holder.device_id))).code is grpc.StatusCode.UNAVAILABLE
    async with grpc.aio.insecure_channel(ports.doors.secure_address, options=OPTIONS) as channel:
        assert (await refused(Session(channel).open(holder.device_id))).code is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_does_not_count(ports: Ports) -> None:
    holder = await ports.device()
    other = make_authority(ports.controller.controller_id, now())
    subject = Subject(controller_id=ports.controller.controller_id, kind="device", name=holder.device_id)
    forged = sign_client(other, subject, holder.key.public_key(), not_after=now() + timedelta(days=1))
    refusal = await hello(holder.with_certificate(certificate_pem(forged).decode()))
    assert refusal.code is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_the_authority_for_another_controller_does_not_count(ports: Ports) -> None:
    holder = await ports.device()
    assert ports.doors.authorities is not None
    signer = ports.doors.authorities.identity.signer
    subject = Subject(controller_id="0" * 32, kind="device", name=holder.device_id)
    foreign = sign_client(signer, subject, holder.key.public_key(), not_after=now() + timedelta(days=1))
    refusal = await hello(holder.with_certificate(certificate_pem(foreign).decode()))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "another_controller")


async def test_the_controllers_own_certificate_is_nobodys_name(ports: Ports) -> None:
    holder = await ports.device()
    assert ports.doors.authorities is not None
    own = make_controller_certificate(ports.doors.authorities.identity.authority, ports.controller.controller_id, now())
    credentials = grpc.ssl_channel_credentials(
        holder.credentials.authorities_pem.encode(), own.key_pem, own.certificate_pem
    )
    name = ("grpc.ssl_target_name_override", holder.credentials.controller_name)
    async with grpc.aio.secure_channel(ports.doors.secure_address, credentials, options=[*OPTIONS, name]) as channel:
        refusal = await refused(Session(channel).open(holder.device_id))
    assert refusal.code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE}


async def test_an_expired_certificate_does_not_open_a_connection(ports: Ports) -> None:
    holder = await ports.device()
    assert ports.doors.authorities is not None
    subject = Subject(controller_id=ports.controller.controller_id, kind="device", name=holder.device_id)
    signer = ports.doors.authorities.identity.signer
    over = sign_client(signer, subject, holder.key.public_key(), not_after=now() - timedelta(minutes=1))
    refusal = await hello(holder.with_certificate(certificate_pem(over).decode()))
    assert refusal.code is grpc.StatusCode.UNAVAILABLE


async def test_a_live_stream_ends_when_its_certificate_expires(ports: Ports) -> None:
    holder = await ports.device()
    async with holder.channel() as channel:
        session = Session(channel)
        await session.open(holder.device_id)
        assert ports.doors.live_calls.end_expired() == 0
        ports.clock.moved_s = 8 * DAY_S
        assert ports.doors.live_calls.end_expired() == 1
        refusal = await session.end()
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "certificate_expired")
        # The connection itself still stands: the next call on it is refused, too.
        again = await refused(Session(channel).open(holder.device_id))
        assert (again.code, again.reason) == (grpc.StatusCode.UNAUTHENTICATED, "certificate_expired")
    assert ports.controller.fleet.presence(holder.device_id) is None


async def test_a_removed_device_is_cut_off_at_once_and_its_certificate_is_worth_nothing(ports: Ports) -> None:
    holder = await ports.device()
    async with holder.channel() as channel:
        session = Session(channel)
        await session.open(holder.device_id)
        await ports.administration.set_standing(holder.device_id, "removed")
        refusal = await session.end()
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "device_removed")
    refusal = await hello(holder)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "certificate_revoked")
    assert (await refused(renewed(holder))).reason == "certificate_revoked"


async def test_a_revoked_certificate_stays_revoked_after_a_restart_and_a_new_code_lets_the_device_in(
    ports: Ports,
) -> None:
    holder = await ports.device()
    await ports.administration.set_standing(holder.device_id, "removed")
    await ports.doors.load()
    again = await enroll(await ports.device_code(), device_id=holder.device_id)
    assert (await hello(holder)).reason == "certificate_revoked"
    async with again.channel() as channel:
        await Session(channel).open(holder.device_id)


async def test_a_suspended_device_is_refused_until_it_is_resumed(ports: Ports) -> None:
    holder = await ports.device()
    async with holder.channel() as channel:
        session = Session(channel)
        await session.open(holder.device_id)
        await ports.administration.set_standing(holder.device_id, "suspended")
        assert (await session.end()).reason == "device_suspended"
        refusal = await refused(Session(channel).open(holder.device_id))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "device_suspended")
        await ports.administration.set_standing(holder.device_id, "enrolled")
        await Session(channel).open(holder.device_id)


async def test_a_device_cannot_speak_for_another_one(ports: Ports) -> None:
    mine, theirs = await ports.device("mine"), await ports.device("theirs")
    refusal = await hello(mine, theirs.device_id)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "another_device")
    async with mine.channel() as channel:
        blobs = blob_pb2_grpc.BlobServiceStub(channel)
        grant = blob_pb2.BlobGrant(device_id=theirs.device_id, job_id="job-1")
        query = blob_pb2.QueryUploadRequest(grant=grant, digest="0" * 64, size_bytes=1)
        refusal = await refused(blobs.QueryUpload(query, timeout=60))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "another_device")
        download = blobs.Download(blob_pb2.DownloadRequest(grant=grant, digest="0" * 64), timeout=60)
        assert (await refused(download.read())).reason == "another_device"


async def test_a_device_may_call_nothing_that_is_for_people(ports: Ports) -> None:
    holder = await ports.device()
    async with holder.channel() as channel:
        control = control_pb2_grpc.ControlServiceStub(channel)
        refusal = await refused(control.ListDevices(control_pb2.ListDevicesRequest(), timeout=60))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "not_for_this_caller")
        identity = identity_pb2_grpc.IdentityServiceStub(channel)
        refusal = await refused(identity.InviteDevice(identity_pb2.InviteDeviceRequest(), timeout=60))
        assert refusal.reason == "not_for_this_caller"


async def test_a_person_cannot_be_a_device(ports: Ports) -> None:
    person = await ports.user("ada", Role.ADMINISTER)
    refusal = await hello(person, str(uuid.uuid4()))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "not_for_this_caller")


async def test_people_may_what_their_role_allows(ports: Ports) -> None:
    allowed = {
        Role.READ: {"list", "download", "authorities"},
        Role.RUN: {"list", "download", "authorities", "cancel", "upload", "compress"},
        Role.ADMINISTER: {
            *("list", "download", "authorities", "cancel", "upload", "compress"),
            *("plugin", "invite", "users", "export", "rotate"),
        },
    }
    for role, calls in allowed.items():
        person = await ports.user(role.name.lower(), role)
        async with person.channel() as channel:
            reasons = await reasons_of_calls(channel)
        # What a call is refused for beyond the guard is not asked here: there is no such job, no such blob.
        assert {call for call, reason in reasons.items() if reason != "role_too_low"} == calls, reasons


async def reasons_of_calls(channel: grpc.aio.Channel) -> dict[str, str]:
    """Make one call of each kind and return why it was refused, "" where it was not."""
    control = control_pb2_grpc.ControlServiceStub(channel)
    identity = identity_pb2_grpc.IdentityServiceStub(channel)
    blobs = blob_pb2_grpc.BlobServiceStub(channel)
    calls = {
        "list": control.ListJobs(control_pb2.ListJobsRequest(), timeout=60),
        "cancel": control.CancelJob(control_pb2.CancelJobRequest(job_id="none"), timeout=60),
        "compress": control.SubmitCompression(control_pb2.SubmitCompressionRequest(), timeout=60),
        "plugin": control.SubmitCompression(
            control_pb2.SubmitCompressionRequest(plugin_paths=["/tmp/mine.py"]), timeout=10
        ),
        "download": blobs.Download(blob_pb2.DownloadRequest(digest="0" * 64), timeout=60).read(),
        "upload": blobs.QueryUpload(blob_pb2.QueryUploadRequest(digest="0" * 64, size_bytes=1), timeout=60),
        "invite": identity.InviteDevice(identity_pb2.InviteDeviceRequest(), timeout=60),
        "users": identity.ListUsers(identity_pb2.ListUsersRequest(), timeout=60),
        "authorities": identity.ListAuthorities(identity_pb2.ListAuthoritiesRequest(), timeout=60),
        "export": identity.ExportAuthority(identity_pb2.ExportAuthorityRequest(passphrase="short"), timeout=60),
        "rotate": identity.RotateAuthority(identity_pb2.RotateAuthorityRequest(finish=True), timeout=60),
    }
    answers = await asyncio.gather(*calls.values(), return_exceptions=True)
    return {name: reason_of(answer) for name, answer in zip(calls, answers, strict=True)}


def reason_of(answer: object) -> str:
    if not isinstance(answer, grpc.aio.AioRpcError):
        return ""
    return str(dict(answer.trailing_metadata() or ())["steelyard-reason"])


async def test_a_role_changes_at_once_and_a_removed_person_is_cut_off(ports: Ports) -> None:
    person = await ports.user("ada", Role.READ)
    async with person.channel() as channel:
        control = control_pb2_grpc.ControlServiceStub(channel)
        identity = identity_pb2_grpc.IdentityServiceStub(channel)
        assert (await refused(identity.InviteDevice(identity_pb2.InviteDeviceRequest()))).reason == "role_too_low"
        await ports.administration.invite_user("ada", Role.ADMINISTER, valid_ms=0)
        assert (await identity.InviteDevice(identity_pb2.InviteDeviceRequest())).invitation.code.startswith("sy1-")
        await ports.administration.remove_user("ada")
        refusal = await refused(control.ListJobs(control_pb2.ListJobsRequest()))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "certificate_revoked")


async def test_an_enrolled_device_is_not_taken_without_its_certificate_nor_is_its_name(ports: Ports) -> None:
    holder = await ports.device("rack")
    async with grpc.aio.insecure_channel(ports.controller.agent_address, options=OPTIONS) as channel:
        refusal = await refused(Session(channel).open(holder.device_id))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "certificate_needed")
        refusal = await refused(Session(channel).open(str(uuid.uuid4()), holder.name))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "name_taken")
        await Session(channel).open(str(uuid.uuid4()), "another")


async def test_a_certificate_is_renewed_on_a_live_connection_with_the_same_key_or_a_new_one(ports: Ports) -> None:
    holder = await ports.device()
    ports.clock.moved_s = 5 * DAY_S
    kept = await renewed(holder)
    assert kept.not_after.seconds - holder.credentials.not_after.seconds >= 5 * DAY_S - 60
    new_key = make_key()
    async with holder.channel() as channel:
        stub = enrollment_pb2_grpc.RenewalServiceStub(channel)
        changed = await stub.Renew(enrollment_pb2.RenewRequest(request_pem=request_pem(new_key)), timeout=60)
    other = Holder(device_id=holder.device_id, name=holder.name, tags=(), key=new_key, credentials=changed.credentials)
    for one in (holder.renewed(kept), other):
        async with one.channel() as channel:
            await Session(channel).open(holder.device_id)


async def test_many_sessions_at_once_are_ended_by_their_own_refusals_only(ports: Ports) -> None:
    code = await ports.device_code(uses=6)
    holders = await asyncio.gather(*(enroll(code, name=f"rack-{n}") for n in range(6)))
    channels = [holder.channel() for holder in holders]
    sessions = [Session(channel) for channel in channels]
    for holder, session in zip(holders, sessions, strict=True):
        await session.open(holder.device_id)
    await ports.administration.set_standing(holders[0].device_id, "removed")
    assert (await sessions[0].end()).reason == "device_removed"
    for number, session in enumerate(sessions[1:], start=2):
        await session.call.write(
            session_pb2.ConnectRequest(message_id=number, heartbeat=session_pb2.Heartbeat(activity="idle"))
        )
        assert (await session.read()).acknowledgement.message_id == number
    for channel in channels:
        await channel.close()
