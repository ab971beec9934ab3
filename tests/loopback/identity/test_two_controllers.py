"""One device that two controllers want at once: one lease, and results only for the controller whose job made them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from steelyard.identity.authority import (
    certificate_pem,
    make_authority,
    make_controller_certificate,
    sign_client,
)
from steelyard.identity.subjects import Subject, controller_name
from steelyard_agent.enrollment.membership import Membership, forget, membership_folder
from steelyard_agent.jobs.work_policy import PolicyRefusal
from steelyard_protocol.v1 import blob_pb2_grpc, session_pb2_grpc
from steelyard_protocol.v1.common_pb2 import JOB_PRIORITY_INTERACTIVE, JOB_PRIORITY_NIGHTLY
from steelyard_protocol.v1.result_pb2 import PASS_LATENCY
from steelyard_protocol.v1.session_pb2 import JobOffer, LeaseRelease, RoundGrant
from tests.agent.jobs.fakes import plan_of
from tests.support.certificate_holder import key_pem, make_key
from tests.support.enrolled_agent import EnrolledAgent
from tests.support.fake_controller import FakeController, digest_of

A = b"model A" * 100


class SecureController(FakeController):
    """The fake controller behind a port that asks for certificates."""

    def __init__(self, controller_id: str) -> None:
        super().__init__()
        self.controller_id = controller_id
        self.now = datetime.now(tz=timezone.utc)
        self.authority = make_authority(controller_id, self.now)
        self.blobs = {digest_of(A): A}

    async def start(self, port: int = 0) -> int:
        shown = make_controller_certificate(self.authority, self.controller_id, self.now)
        credentials = grpc.ssl_server_credentials(
            [(shown.key_pem, shown.certificate_pem)], self.authority.certificate_pem, require_client_auth=True
        )
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        session_pb2_grpc.add_SessionServiceServicer_to_server(self, self._server)
        blob_pb2_grpc.add_BlobServiceServicer_to_server(self, self._server)
        self.port = self._server.add_secure_port(f"127.0.0.1:{port}", credentials)
        await self._server.start()
        return self.port

    def enroll(self, root: Path, device_id: str) -> None:
        """Write what enrolling would have left."""
        key = make_key()
        subject = Subject(controller_id=self.controller_id, kind="device", name=device_id)
        certificate = sign_client(self.authority, subject, key.public_key(), not_after=self.now + timedelta(days=7))
        folder = membership_folder(root, self.controller_id)
        folder.prepare()
        folder.key.write_bytes(key_pem(key))
        membership = Membership(
            controller_id=self.controller_id,
            controller_name=controller_name(self.controller_id),
            device_name="board",
            addresses=(self.address,),
            enrollment_addresses=(),
            issued_at_s=self.now.timestamp(),
            not_after_s=self.now.timestamp() + 7 * 24 * 3600,
            clock_offset_s=0.0,
        )
        folder.keep(
            membership,
            certificate=certificate_pem(certificate).decode(),
            authorities=self.authority.certificate_pem.decode(),
        )

    def offer(self, job_id: str, ttl_ms: int = 60_000, **more: Any) -> None:
        self.say(job_offer=JobOffer(job_id=job_id, attempt=1, plan=plan_of(A), lease_ttl_ms=ttl_ms, **more))

    def grant(self, job_id: str, epoch: int, first: int = 0, count: int = 1) -> None:
        grant = RoundGrant(
            job_id=job_id, attempt=1, epoch=epoch, pass_kind=PASS_LATENCY, first_round=first, round_count=count
        )
        self.say(round_grant=grant)

    def keys(self) -> list[tuple[str, int]]:
        return [(ready.key.job_id, ready.key.round_index) for ready in self.all("round_ready")]


class Two:
    """Two controllers and their one device."""

    def __init__(self, root: Path) -> None:
        self.first, self.second = SecureController("1" * 32), SecureController("2" * 32)
        self.board = EnrolledAgent(root)

    async def start(self) -> None:
        for controller in (self.first, self.second):
            await controller.start()
            controller.enroll(self.board.root, self.board.device_id)
        self.board.start()
        for controller in (self.first, self.second):
            await controller.wait_for("hello")


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    made = Two(tmp_path / "board")
    try:
        await made.start()
        yield made
    finally:
        await made.board.end()
        for controller in (made.first, made.second):
            await controller.stop()


async def test_the_second_controller_hears_who_holds_the_device_and_gets_it_afterwards(two: Two) -> None:
    two.first.offer("one")
    lease = (await two.first.wait_for("lease_answer")).lease
    two.second.offer("two")
    refused = await two.second.wait_for("lease_answer")
    assert not refused.HasField("lease")
    assert f"job one of controller {two.first.controller_id} holds this device" in refused.refused_because
    assert refused.held_until.seconds > 0
    two.first.grant("one", lease.epoch)
    await two.first.wait_for("grant_finished")
    two.first.say(lease_release=LeaseRelease(job_id="one", attempt=1))
    await two.first.until(lambda: two.board.agent.links[0].desk.lease is None)
    two.second.offer("two")
    # The second answer said that the device is free.
    later = (await two.second.wait_for("lease_answer", 3)).lease
    assert (later.job_id, later.epoch) == ("two", lease.epoch + 1)
    two.second.grant("two", later.epoch)
    await two.second.wait_for("grant_finished")
    assert (two.first.keys(), two.second.keys()) == ([("one", 0)], [("two", 0)])


async def test_the_same_job_id_of_another_controller_is_another_job(two: Two) -> None:
    two.first.offer("job")
    lease = (await two.first.wait_for("lease_answer")).lease
    two.second.offer("job")
    assert not (await two.second.wait_for("lease_answer")).HasField("lease")
    two.second.grant("job", lease.epoch)
    two.second.say(lease_release=LeaseRelease(job_id="job", attempt=1))
    # Answered in order: what came before was read, too.
    two.second.offer("job")
    await two.second.wait_for("lease_answer", 2)
    assert two.board.agent.links[0].desk.lease is not None
    assert two.board.workers.blocks == []


async def test_a_controller_that_went_away_keeps_its_results_until_it_is_back_and_nobody_else_gets_them(
    two: Two,
) -> None:
    two.board.workers.hold = asyncio.Event()
    two.first.offer("one", ttl_ms=200)
    epoch = (await two.first.wait_for("lease_answer")).lease.epoch
    two.first.grant("one", epoch)
    await two.board.workers.started.wait()
    port = two.first.port
    await two.first.stop()
    two.board.workers.hold.set()
    # Its lease runs out, and the device is the other one's.
    await two.second.until(lambda: two.board.agent.links[0].desk.lease is None)
    two.board.workers.hold = None
    two.second.offer("two")
    assert (await two.second.wait_for("lease_answer")).lease.epoch == epoch + 1
    two.second.grant("two", epoch + 1)
    await two.second.wait_for("grant_finished")
    assert two.second.keys() == [("two", 0)]
    hellos = len(two.first.all("hello"))
    await two.first.start(port)
    hello = await two.first.wait_for("hello", hellos + 1)
    assert [key.job_id for key in hello.unacknowledged] == ["one"]
    assert not hello.HasField("lease")
    await two.first.wait_for("round_ready")
    assert two.first.keys() == [("one", 0)]


async def test_one_controller_that_is_away_does_not_keep_the_other_waiting(two: Two) -> None:
    await two.first.stop()
    two.second.offer("two")
    assert (await two.second.wait_for("lease_answer")).lease.job_id == "two"


class Owner:
    """A policy that a test turns."""

    def __init__(self) -> None:
        self.refuses: PolicyRefusal | None = None
        self.worked_s: list[float] = []

    async def refusal(self) -> PolicyRefusal | None:
        return self.refuses

    def worked(self, duration_s: float) -> None:
        self.worked_s.append(duration_s)


async def test_no_controller_overrides_the_owner_and_a_running_round_ends_at_its_boundary(tmp_path: Path) -> None:
    two = Two(tmp_path / "board")
    owner = two.board.policy = Owner()
    night = PolicyRefusal(rule="windows", sentence="only at night: not before 22:00", until_unix_ns=22 * 10**9)
    try:
        await two.start()
        owner.refuses = night
        two.first.offer("one")
        refused = await two.first.wait_for("lease_answer")
        assert (refused.refused_because, refused.held_until.seconds) == (night.sentence, 22)
        owner.refuses = None
        two.board.workers.hold = asyncio.Event()
        two.first.offer("one")
        epoch = (await two.first.wait_for("lease_answer", 2)).lease.epoch
        two.first.grant("one", epoch, count=3)
        await two.board.workers.started.wait()
        owner.refuses = night
        two.board.workers.hold.set()
        failed = await two.first.wait_for("job_failed")
        assert failed.error.reason == "device_policy"
        assert night.sentence in failed.error.message
        await two.first.wait_for("round_ready")
        assert two.first.keys() == [("one", 0)]
        assert len(owner.worked_s) == 1
    finally:
        await two.board.end()
        for controller in (two.first, two.second):
            await controller.stop()


async def test_a_job_gives_way_to_a_more_urgent_one_of_another_controller_and_goes_on_behind_it(two: Two) -> None:
    two.board.workers.hold = asyncio.Event()
    two.first.offer("night", priority=JOB_PRIORITY_NIGHTLY)
    epoch = (await two.first.wait_for("lease_answer")).lease.epoch
    two.first.grant("night", epoch, count=3)
    await two.board.workers.started.wait()
    two.second.offer("urgent", priority=JOB_PRIORITY_INTERACTIVE)
    # The answer waits for the end of the timed block, the wish does not.
    await two.second.until(two.board.agent.leases.more_urgent)
    two.board.workers.hold.set()
    assert not (await two.second.wait_for("lease_answer")).HasField("lease")
    failed = await two.first.wait_for("job_failed")
    assert failed.error.reason == "yielded"
    assert f"job urgent of controller {two.second.controller_id}" in failed.error.message
    two.first.offer("night", priority=JOB_PRIORITY_NIGHTLY)
    assert not (await two.first.wait_for("lease_answer", 2)).HasField("lease")
    two.second.offer("urgent", priority=JOB_PRIORITY_INTERACTIVE)
    lease = (await two.second.wait_for("lease_answer", 3)).lease
    two.second.grant("urgent", lease.epoch)
    await two.second.wait_for("grant_finished")
    two.second.say(lease_release=LeaseRelease(job_id="urgent", attempt=1))
    # Told that it is its turn.
    await two.first.wait_for("lease_answer", 3)
    two.first.offer("night", priority=JOB_PRIORITY_NIGHTLY)
    lease = (await two.first.wait_for("lease_answer", 4)).lease
    two.first.grant("night", lease.epoch, first=1, count=2)
    await two.first.wait_for("grant_finished")
    assert two.first.keys() == [("night", 0), ("night", 1), ("night", 2)]


async def test_a_controller_that_is_joined_or_forgotten_while_the_agent_runs_is_noticed(tmp_path: Path) -> None:
    two = Two(tmp_path / "board")
    try:
        for controller in (two.first, two.second):
            await controller.start()
        two.first.enroll(two.board.root, two.board.device_id)
        two.board.start()
        await two.first.wait_for("hello")
        two.second.enroll(two.board.root, two.board.device_id)
        await two.second.wait_for("hello")
        two.second.offer("two")
        assert (await two.second.wait_for("lease_answer")).lease.job_id == "two"
        # Its job ends with it, and the other one has the device.
        forget(membership_folder(two.board.root, two.second.controller_id))
        await two.second.wait_for("goodbye")
        two.first.offer("one")
        assert (await two.first.wait_for("lease_answer")).lease.job_id == "one"
        assert len(two.board.agent.links) == 1
    finally:
        await two.board.end()
        for controller in (two.first, two.second):
            await controller.stop()
