"""A new authority beside the old one, until everybody holds it; over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from steelyard.identity.errors import IdentityError
from steelyard.membership.authorities import Authorities
from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.membership import membership_folders
from steelyard_protocol.v1 import enrollment_pb2, enrollment_pb2_grpc
from tests.loopback.identity.conftest import Ports
from tests.support.certificate_holder import Holder, Session, enroll, refused, request_pem
from tests.support.enrolled_agent import EnrolledAgent

DAY_S = 24 * 3600


def authorities_of(ports: Ports) -> Authorities:
    assert ports.doors.authorities is not None
    return ports.doors.authorities


async def opened(holder: Holder) -> None:
    async with holder.channel() as channel:
        await Session(channel).open(holder.device_id)


async def renew(holder: Holder) -> Holder:
    async with holder.channel() as channel:
        request = enrollment_pb2.RenewRequest(request_pem=request_pem(holder.key))
        response = await enrollment_pb2_grpc.RenewalServiceStub(channel).Renew(request, timeout=60)
        return holder.renewed(response.credentials)


async def test_devices_of_both_authorities_come_in_while_it_changes_and_only_of_the_new_one_after(ports: Ports) -> None:
    authorities = authorities_of(ports)
    code = await ports.device_code(uses=2)
    old = await enroll(code, name="old")
    authorities.begin_change()
    # Whoever holds the old authority alone knows the controller still, and comes in.
    await opened(old)
    new = await enroll(code, name="new")
    await opened(new)
    assert new.credentials.authorities_pem.count("BEGIN CERTIFICATE") == 2
    described = await authorities.describe()
    assert [(one.signs_clients, one.signs_controller, one.holder_count) for one in described] == [
        (True, False, 1),
        (False, True, 1),
    ]
    async with old.channel() as channel:
        session = Session(channel)
        await session.open(old.device_id)
        await authorities.finish_change()
        refusal = await session.end()
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "unknown_authority")
        assert (await refused(Session(channel).open(old.device_id))).reason == "unknown_authority"
    assert (await refused(opened(old))).code is grpc.StatusCode.UNAVAILABLE
    # The one that holds both knows the controller by its new certificate.
    await opened(new)


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[EnrolledAgent]:
    made = EnrolledAgent(tmp_path / "board")
    yield made
    await made.end()


async def test_a_device_that_was_left_behind_comes_back_with_its_key_when_its_owner_says_so(
    ports: Ports, board: EnrolledAgent, caplog: pytest.LogCaptureFixture
) -> None:
    def attached() -> object:
        return ports.controller.fleet.presence(board.device_id)

    await board.join(await ports.device_code())
    (folder,) = membership_folders(board.root)
    key = folder.key.read_bytes()
    board.start()
    await board.until(attached)
    authorities_of(ports).begin_change()
    await authorities_of(ports).finish_change()
    await board.until(lambda: "--new-authority" in caplog.text)
    with pytest.raises(EnrollmentError, match="--new-authority"):
        await board.join(await ports.device_code())
    assert attached() is None
    # The agent runs all the while.
    joined = await board.join(await ports.device_code(), new_authority=True)
    await board.until(attached)
    assert folder.key.read_bytes() == key
    assert folder.pem("authorities") == authorities_of(ports).identity.authorities_pem
    await board.until(lambda: folder.read().last_good_address in joined.membership.addresses)
    assert folder.read().issued_at_s == joined.membership.issued_at_s


async def test_a_change_ends_by_itself_when_everybody_who_was_seen_holds_the_new_authority(ports: Ports) -> None:
    authorities = authorities_of(ports)
    first, second = await ports.device("first"), await ports.device("second")
    authorities.begin_change()
    assert set(await authorities.finish_change_if_complete()) == {first.device_id, second.device_id}
    first = await renew(first)
    # It was sent the new one, which does not say that it has stored it.
    assert set(await authorities.finish_change_if_complete()) == {first.device_id, second.device_id}
    await opened(first)
    assert await authorities.finish_change_if_complete() == [second.device_id]
    second = await renew(second)
    await opened(second)
    assert await authorities.finish_change_if_complete() == []
    assert authorities.identity.following is None
    for one in (first, second):
        await opened(one)


async def test_a_change_does_not_wait_for_devices_that_were_not_seen_within_the_grace_period(ports: Ports) -> None:
    authorities = authorities_of(ports)
    await ports.device("gone")
    ports.clock.moved_s = 91 * DAY_S
    authorities.begin_change()
    assert await authorities.finish_change_if_complete() == []
    assert authorities.identity.following is None


async def test_a_change_is_begun_once_and_ended_only_when_there_is_one(ports: Ports) -> None:
    authorities = authorities_of(ports)
    with pytest.raises(IdentityError) as caught:
        await authorities.finish_change()
    assert caught.value.reason == "no_change"
    authorities.begin_change()
    with pytest.raises(IdentityError) as caught:
        authorities.begin_change()
    assert caught.value.reason == "change_under_way"
    with pytest.raises(IdentityError) as caught:
        await authorities.export("a passphrase that is long")
    assert caught.value.reason == "change_under_way"
