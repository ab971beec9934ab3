"""The agent's side of enrollment against the controller's real ports: joining, serving, renewing, wrong clocks."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import grpc.aio
import pytest

from steelyard.identity.authority import certificate_pem, make_authority, make_enrollment_certificate
from steelyard.identity.join_code import decode_join_code, encode_join_code
from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.membership import membership_folder, membership_folders
from steelyard_protocol.v1 import enrollment_pb2, enrollment_pb2_grpc
from tests.loopback.identity.conftest import Ports
from tests.support.enrolled_agent import EnrolledAgent

DAY_S = 24 * 3600
IN_1970, IN_2040 = 17.0, 2_208_988_800.0


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[EnrolledAgent]:
    made = EnrolledAgent(tmp_path / "board")
    yield made
    await made.end()


class Listener(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """Somebody else's enrollment port: shows a certificate of its own, and remembers what it is told."""

    def __init__(self, authority_pem: str) -> None:
        self.authority_pem = authority_pem
        self.told: list[enrollment_pb2.EnrollRequest] = []
        self.asked_count = 0

    async def GetAuthority(self, _request: object, _context: object) -> enrollment_pb2.GetAuthorityResponse:
        self.asked_count += 1
        return enrollment_pb2.GetAuthorityResponse(controller_id="c", authority_pem=self.authority_pem)

    async def Enroll(self, request: enrollment_pb2.EnrollRequest, _context: object) -> enrollment_pb2.EnrollResponse:
        self.told.append(request)
        return enrollment_pb2.EnrollResponse()

    async def start(self) -> grpc.aio.Server:
        shown = make_enrollment_certificate(datetime.now(tz=timezone.utc))
        server = grpc.aio.server()
        enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(self, server)
        credentials = grpc.ssl_server_credentials([(shown.key_pem, shown.certificate_pem)])
        self.address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
        await server.start()
        return server


def serial(root: Path) -> bytes:
    (folder,) = membership_folders(root)
    return folder.pem("certificate")


async def attached(ports: Ports, board: EnrolledAgent) -> None:
    await board.until(lambda: ports.controller.fleet.presence(board.device_id) is not None)


async def test_a_device_joins_by_its_code_and_is_served_under_the_name_that_it_was_given(
    ports: Ports, board: EnrolledAgent
) -> None:
    await ports.device("kitchen")
    joined = await board.join(await ports.device_code(tags=("rack1",)), name="kitchen")
    assert (joined.name, joined.tags) == ("kitchen-2", ("rack1",))
    folder = membership_folder(board.root, ports.controller.controller_id)
    assert folder.read() == joined.membership
    assert joined.membership.controller_id == ports.controller.controller_id
    board.start()
    await attached(ports, board)
    await board.until(lambda: folder.read().last_good_address in joined.membership.addresses)


@pytest.mark.parametrize("shows_the_real_authority", [False, True])
async def test_whoever_has_another_fingerprint_never_hears_the_secret(
    ports: Ports, board: EnrolledAgent, shows_the_real_authority: bool
) -> None:
    assert ports.doors.authorities is not None
    real = ports.doors.authorities.identity.authority
    own = make_authority("c", datetime.now(tz=timezone.utc))
    listener = Listener((real if shows_the_real_authority else own).certificate_pem.decode())
    server = await listener.start()
    try:
        code = replace(decode_join_code(await ports.device_code()), addresses=(listener.address,))
        with pytest.raises(EnrollmentError, match=f"{listener.address} is not the controller") as caught:
            await board.join(encode_join_code(code))
    finally:
        await server.stop(None)
    assert caught.value.reason == "wrong_fingerprint"
    assert (listener.asked_count, listener.told) == (1, [])
    assert not (board.root / "controllers").exists()


async def test_an_impostor_at_the_first_address_does_not_keep_the_device_from_the_second(
    ports: Ports, board: EnrolledAgent
) -> None:
    listener = Listener(make_authority("c", datetime.now(tz=timezone.utc)).certificate_pem.decode())
    server = await listener.start()
    try:
        code = decode_join_code(await ports.device_code())
        await board.join(encode_join_code(replace(code, addresses=(listener.address, *code.addresses))))
    finally:
        await server.stop(None)
    assert listener.told == []
    assert len(membership_folders(board.root)) == 1


async def test_a_code_is_used_once_and_a_lost_answer_costs_nothing(ports: Ports, board: EnrolledAgent) -> None:
    code = await ports.device_code()
    first = await board.join(code)
    # The same key and code: as if the first answer had been lost.
    assert (await board.join(code)).membership.controller_id == first.membership.controller_id
    other = EnrolledAgent(board.root.parent / "other")
    with pytest.raises(EnrollmentError) as caught:
        await other.join(code)
    assert caught.value.reason == "enrollment_refused"
    assert membership_folders(other.root) == ()


async def test_a_code_for_a_person_is_not_said_to_anybody(ports: Ports, board: EnrolledAgent) -> None:
    from steelyard.identity.roles import Role

    invitation, _ = await ports.administration.invite_user("ada", Role.RUN, valid_ms=0)
    with pytest.raises(EnrollmentError, match="steelyard login"):
        await board.join(invitation.code)


@pytest.mark.parametrize("wrong_s", [IN_1970, IN_2040], ids=["1970", "2040"])
async def test_a_certificate_is_renewed_after_two_thirds_of_its_life_whatever_the_devices_clock_says(
    ports: Ports, board: EnrolledAgent, wrong_s: float
) -> None:
    board.now_s = lambda: wrong_s
    await board.join(await ports.device_code())
    before = serial(board.root)
    board.start()
    await attached(ports, board)
    assert serial(board.root) == before
    await board.end()
    ports.clock.moved_s = 5 * DAY_S
    board.start()
    await board.until(lambda: serial(board.root) != before)
    (folder,) = membership_folders(board.root)
    assert folder.read().not_after_s > time.time() + 11 * DAY_S
    await board.end()
    # And the new one opens a session, after the old one has ended.
    ports.clock.moved_s = 8 * DAY_S
    renewed = serial(board.root)
    board.start()
    await attached(ports, board)
    assert serial(board.root) == renewed


async def test_a_device_that_slept_past_its_certificates_end_comes_back_by_its_old_key(
    ports: Ports, board: EnrolledAgent
) -> None:
    await board.join(await ports.device_code())
    before, key = serial(board.root), membership_folders(board.root)[0].key.read_bytes()
    ports.clock.moved_s = 30 * DAY_S
    board.start()
    await attached(ports, board)
    assert serial(board.root) != before
    assert membership_folders(board.root)[0].key.read_bytes() == key


async def test_a_device_that_slept_longer_than_the_grace_period_is_told_to_enroll_anew(
    ports: Ports, board: EnrolledAgent, caplog: pytest.LogCaptureFixture
) -> None:
    await board.join(await ports.device_code())
    ports.clock.moved_s = 200 * DAY_S
    board.start()
    await board.until(lambda: "enroll with a new join code" in caplog.text)
    assert ports.controller.fleet.presence(board.device_id) is None


async def test_the_next_address_is_tried_when_the_first_one_leads_nowhere(ports: Ports, board: EnrolledAgent) -> None:
    joined = await board.join(await ports.device_code())
    folder = membership_folder(board.root, joined.membership.controller_id)
    # Port 1 of loopback: nobody listens there.
    moved = ("127.0.0.1:1", *joined.membership.addresses)
    folder.note(replace(joined.membership, addresses=moved, last_good_address="127.0.0.1:1"))
    board.start()
    await attached(ports, board)
    await board.until(lambda: folder.read().last_good_address == joined.membership.addresses[0])


async def test_somebody_else_at_the_controllers_address_is_not_spoken_to(
    ports: Ports, board: EnrolledAgent, caplog: pytest.LogCaptureFixture
) -> None:
    joined = await board.join(await ports.device_code())
    assert ports.doors.authorities is not None
    listener = Listener(certificate_pem(ports.doors.authorities.identity.authority.certificate).decode())
    server = await listener.start()
    folder = membership_folder(board.root, joined.membership.controller_id)
    folder.note(replace(joined.membership, addresses=(listener.address,), enrollment_addresses=(listener.address,)))
    try:
        board.start()
        await board.until(lambda: caplog.text.count("no session with") >= 6)
    finally:
        await board.end()
        await server.stop(None)
    # It shows another certificate for the same name, so that not even the time is asked.
    assert listener.asked_count == 0
    assert "whoever answers there shows no certificate of the authority that this device knows" in caplog.text


async def test_the_port_of_enrollment_shows_the_certificate_that_is_kept(ports: Ports, board: EnrolledAgent) -> None:
    code = decode_join_code(await ports.device_code())
    await board.join(encode_join_code(code))
    host, _, port = code.addresses[0].rpartition(":")
    shown = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
    assert membership_folders(board.root)[0].pem("enrollment").decode().strip() == shown.strip()


async def test_a_controller_that_says_to_be_another_one_does_not_take_its_place(
    ports: Ports, board: EnrolledAgent
) -> None:
    """Whoever made a code names the controller's id: results of the real one would wait for the impostor."""
    await board.join(await ports.device_code())
    (folder,) = membership_folders(board.root)
    real = make_authority(ports.controller.controller_id, datetime.now(tz=timezone.utc))
    (folder.path / "authorities.pem").write_bytes(real.certificate_pem)
    held = serial(board.root)
    with pytest.raises(EnrollmentError, match="controllers forget") as caught:
        await board.join(await ports.device_code())
    assert caught.value.reason == "another_authority"
    assert (folder.pem("authorities"), serial(board.root)) == (real.certificate_pem, held)
    # One of several that are trusted is enough: the authority may just be changing.
    assert ports.doors.authorities is not None
    both = real.certificate_pem + ports.doors.authorities.identity.authorities_pem
    (folder.path / "authorities.pem").write_bytes(both)
    await board.join(await ports.device_code())
    assert serial(board.root) != held
    # Nothing is known of what was damaged: enrolling is what mends it.
    (folder.path / "authorities.pem").write_bytes(b"-----BEGIN")
    await board.join(await ports.device_code())
    assert folder.pem("authorities") == ports.doors.authorities.identity.authorities_pem
