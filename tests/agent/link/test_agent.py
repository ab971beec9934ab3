import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from steelyard_agent.jobs import staging
from steelyard_agent.link import session as session_module
from steelyard_agent.link.address import parse_controller_address
from steelyard_agent.link.agent import Agent, AgentParts
from steelyard_agent.link.backoff import Backoff
from steelyard_agent.readings import Reading
from steelyard_agent.state.blob_cache import BlobCache
from steelyard_agent.state.identity import IdentityFile
from steelyard_agent.state.outbox import Outbox
from steelyard_agent.worker.block import Block
from steelyard_protocol.v1.common_pb2 import DeviceDescription
from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.result_pb2 import PASS_EVALUATION, PASS_LATENCY
from steelyard_protocol.v1.session_pb2 import Goodbye, JobCancellation, JobOffer, LeaseRelease, RoundGrant
from tests.agent.jobs.fakes import DEGREES, FakeOutcome, FakeWorkers, names_in, plan_of, round_tools
from tests.support.fake_controller import FakeController, digest_of

A, B, DATA = b"model A" * 1000, b"model B" * 1000, b"data" * 700


class Fleet:
    """A controller and an agent that can be stopped, killed and started again on the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("blobs", "outbox"):
            (folder / name).mkdir()
        self.controller = FakeController()
        self.workers = FakeWorkers()
        self.free_bytes = 10**12
        self.blobs = {digest_of(content): content for content in (A, B, DATA)}
        # Cleared: whoever reads the temperature waits.
        self.thermometer_answers = threading.Event()
        self.thermometer_answers.set()

    def read_temperature(self) -> list[Reading]:
        assert self.thermometer_answers.wait(60)
        return [DEGREES]

    async def start_controller(self, **options: Any) -> None:
        port = self.controller.port
        self.controller = FakeController(**options)
        self.controller.blobs = dict(self.blobs)
        await self.controller.start(port)

    def start_agent(self) -> None:
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        identity = IdentityFile(self.folder / "device.json")
        self.agent = Agent(
            AgentParts(
                address=parse_controller_address(self.controller.address),
                description=DeviceDescription(device_id=identity.device_id, name="pi"),
                boot_id="boot",
                identity=identity,
                outbox=Outbox(self.folder / "outbox"),
                cache=BlobCache(self.folder / "blobs", free_bytes=lambda _folder: self.free_bytes),
                rounds=round_tools(self.workers, self.folder / "work"),
                clock_s=time.monotonic,
                free_bytes=lambda _folder: self.free_bytes,
                read_temperature=self.read_temperature,
                backoff=Backoff(base_s=0.01, cap_s=0.05),
            )
        )
        self.stop = asyncio.Event()
        self.running = asyncio.ensure_future(self.agent.run(self.stop))

    async def stop_agent(self) -> None:
        self.stop.set()
        await self.running

    def offer(self, plan: Plan | None = None, **more: Any) -> None:
        plan = plan or plan_of(A, B, evaluation=DATA)
        values = {"job_id": "j", "attempt": 1, "lease_ttl_ms": 60_000, **more}
        self.controller.say(job_offer=JobOffer(plan=plan, **values))

    def grant(self, first: int, count: int, pass_kind: int = PASS_LATENCY, epoch: int = 1) -> None:
        grant = RoundGrant(
            job_id="j", attempt=1, epoch=epoch, pass_kind=pass_kind, first_round=first, round_count=count
        )
        self.controller.say(round_grant=grant)


@pytest.fixture
def controller_options() -> dict[str, Any]:
    return {}


@pytest.fixture
async def fleet(tmp_path: Path, controller_options: dict[str, Any]) -> AsyncIterator[Fleet]:
    made = Fleet(tmp_path)
    await made.start_controller(**controller_options)
    made.start_agent()
    yield made
    if not made.running.done():
        await made.stop_agent()
    await made.controller.stop()


async def test_a_job_runs_from_the_hello_to_the_release(fleet: Fleet) -> None:
    controller = fleet.controller
    hello = await controller.wait_for("hello")
    assert (hello.device.name, hello.boot_id, hello.protocol_version) == ("pi", "boot", 1)
    assert not hello.HasField("lease")
    fleet.offer()
    fleet.grant(0, 1, PASS_EVALUATION)
    fleet.grant(0, 2)
    await controller.wait_for("grant_finished", 2)
    results = controller.rounds()
    assert [(result.pass_kind, result.round_index) for result in results] == [
        (PASS_EVALUATION, 0),
        (PASS_LATENCY, 0),
        (PASS_LATENCY, 1),
    ]
    assert [block.label for block in results[2].blocks] == ["b", "a"]
    for block in results[0].blocks:
        assert bytes(controller.uploads[block.outputs_digest]).startswith(b"outputs of model")
    assert {request.grant.job_id for request in controller.downloads} == {"j"}
    assert {header.grant.epoch for header in controller.upload_headers} == {1}
    controller.say(lease_release=LeaseRelease(job_id="j", attempt=1))
    await controller.until(lambda: fleet.agent.desk.lease is None and not fleet.agent.desk.unacknowledged())
    await fleet.stop_agent()
    await controller.wait_for("goodbye")
    ids = [message.message_id for message in controller.received]
    assert ids == list(range(1, len(ids) + 1))


async def test_every_message_of_the_controller_is_acknowledged(fleet: Fleet) -> None:
    await fleet.controller.wait_for("hello")
    fleet.offer()
    fleet.grant(0, 1)
    await fleet.controller.wait_for("grant_finished")
    said = fleet.controller._last_id
    await fleet.controller.until(lambda: fleet.controller.acknowledged)
    # Welcome, offer and grant, whatever ids the acknowledgements between them took.
    assert len(fleet.controller.acknowledged) >= 3
    assert max(fleet.controller.acknowledged) <= said


async def test_a_link_that_is_cut_in_the_middle_loses_and_repeats_nothing(fleet: Fleet) -> None:
    first = fleet.controller
    await first.wait_for("hello")
    fleet.workers.hold = asyncio.Event()
    fleet.offer()
    fleet.grant(0, 3)
    await fleet.workers.started.wait()
    await first.stop()
    fleet.workers.hold.set()
    await first.until(lambda: len(fleet.agent.desk.unacknowledged()) == 3)
    await fleet.start_controller()
    second = fleet.controller
    hello = await second.wait_for("hello")
    assert (hello.lease.job_id, hello.lease.epoch) == ("j", 1)
    assert [key.round_index for key in hello.unacknowledged] == [0, 1, 2]
    await second.wait_for("grant_finished")
    assert [result.round_index for result in second.rounds()] == [0, 1, 2]
    fleet.offer(segment=1)
    fleet.grant(3, 1)
    await second.wait_for("grant_finished", 2)
    assert [(result.round_index, result.segment) for result in second.rounds()] == [(0, 0), (1, 0), (2, 0), (3, 1)]
    assert len(fleet.workers.blocks) == 8


async def test_an_agent_that_died_delivers_its_outbox_when_it_comes_back(fleet: Fleet) -> None:
    controller = fleet.controller
    controller.records = False
    await controller.wait_for("hello")
    fleet.offer()
    fleet.grant(0, 2)
    await controller.wait_for("grant_finished")
    await fleet.stop_agent()
    await fleet.controller.stop()
    await fleet.start_controller()
    fleet.start_agent()
    hello = await fleet.controller.wait_for("hello")
    assert not hello.HasField("lease")
    assert len(hello.unacknowledged) == 2
    await fleet.controller.wait_for("round_ready", 2)
    await fleet.controller.until(lambda: not fleet.agent.desk.unacknowledged())
    assert names_in(fleet.folder / "outbox") == []
    fleet.offer()
    assert (await fleet.controller.wait_for("lease_answer")).lease.epoch == 2


async def test_an_upload_goes_on_where_the_controller_has_it(fleet: Fleet) -> None:
    outputs = b"outputs of " + A
    fleet.controller.uploads[digest_of(outputs)] = bytearray(outputs[:5000])
    await fleet.controller.wait_for("hello")
    fleet.offer(plan_of(A, evaluation=DATA))
    fleet.grant(0, 1, PASS_EVALUATION)
    await fleet.controller.wait_for("round_ready")
    assert fleet.controller.upload_headers[0].offset == 5000
    assert bytes(fleet.controller.uploads[digest_of(outputs)]) == outputs


async def test_a_download_that_breaks_off_is_resumed(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_RETRY_PAUSE_S", 0.001)
    fleet.controller.break_download_after = 3000
    await fleet.controller.wait_for("hello")
    fleet.offer(plan_of(A))
    fleet.grant(0, 1)
    await fleet.controller.wait_for("grant_finished")
    assert [request.offset for request in fleet.controller.downloads] == [0, 3000]


@pytest.mark.parametrize(
    ("served", "reason"),
    [(A[:-1] + b"?", "blob_mismatch"), (A + b"?", "blob_mismatch"), (None, "transfer_refused")],
)
async def test_a_blob_that_is_not_what_was_named_fails_the_job_and_the_next_one_runs(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, served: bytes | None, reason: str
) -> None:
    monkeypatch.setattr(staging, "_RETRY_PAUSE_S", 0.001)
    fleet.controller.blobs.pop(digest_of(A))
    if served is not None:
        fleet.controller.blobs[digest_of(A)] = served
    await fleet.controller.wait_for("hello")
    fleet.offer()
    assert (await fleet.controller.wait_for("job_failed")).error.reason == reason
    fleet.offer(plan_of(B), job_id="next")
    assert (await fleet.controller.wait_for("lease_answer", 2)).lease.job_id == "next"


@pytest.mark.parametrize("controller_options", [{"heartbeat_ms": 50}])
async def test_a_thermometer_that_hangs_holds_up_the_heartbeat_and_nothing_else(fleet: Fleet) -> None:
    controller = fleet.controller
    await controller.wait_for("heartbeat")
    fleet.thermometer_answers.clear()
    fleet.offer()
    fleet.grant(0, 1)
    try:
        await controller.wait_for("grant_finished")
    finally:
        fleet.thermometer_answers.set()
    await controller.wait_for("heartbeat", len(controller.all("heartbeat")) + 1)


@pytest.mark.parametrize("controller_options", [{"heartbeat_ms": 50}])
async def test_a_hello_and_heartbeats_say_what_the_devices_clock_shows(fleet: Fleet) -> None:
    controller = fleet.controller
    before_s = time.time()
    hello = await controller.wait_for("hello")
    beat = await controller.wait_for("heartbeat", 2)
    assert abs(hello.device_now.seconds - before_s) < 60
    assert hello.device_now.ToNanoseconds() <= beat.device_now.ToNanoseconds()
    # The acknowledgement of the first heartbeat, or the welcome where that was still under way.
    assert beat.heard_message_id >= 2
    assert beat.held_ns >= 0


async def test_every_start_of_an_agent_has_an_id_of_its_own(fleet: Fleet) -> None:
    first = await fleet.controller.wait_for("hello")
    await fleet.stop_agent()
    fleet.start_agent()
    second = await fleet.controller.wait_for("hello", 2)
    assert first.run_id != second.run_id
    assert first.boot_id == second.boot_id


@pytest.mark.parametrize("controller_options", [{"heartbeat_ms": 50}])
async def test_heartbeats_say_what_the_device_does_and_keep_silent_while_a_block_is_timed(fleet: Fleet) -> None:
    controller = fleet.controller
    beat = await controller.wait_for("heartbeat")
    assert (beat.activity, beat.free_disk_bytes, beat.readings[0].value) == ("idle", 10**12, 41.5)
    fleet.workers.hold = asyncio.Event()
    fleet.offer(plan_of(A, evaluation=DATA))
    fleet.grant(0, 1, PASS_EVALUATION)
    await fleet.workers.started.wait()
    # The data set is not timed: heartbeats go on beside it.
    beat = await controller.wait_for("heartbeat", len(controller.all("heartbeat")) + 3)
    assert (beat.activity, beat.lease.job_id) == ("running", "j")
    fleet.workers.hold.set()
    await controller.wait_for("grant_finished")
    fleet.workers.hold, fleet.workers.started = asyncio.Event(), asyncio.Event()
    fleet.grant(0, 1)
    await fleet.workers.started.wait()
    opened = fleet.agent.links[0].port._open
    assert opened is not None
    outgoing = opened.outgoing
    written = outgoing._last_id - outgoing._queue.qsize()
    await controller.until(lambda: controller.received[-1].message_id >= written)
    # Longer than several heartbeats; silence has no event that could be waited for.
    await asyncio.sleep(0.3)
    assert controller.received[-1].message_id == written
    fleet.workers.hold.set()
    await controller.wait_for("grant_finished", 2)
    await controller.wait_for("heartbeat", len(controller.all("heartbeat")) + 1)


async def test_a_cancellation_is_heard_while_a_block_is_timed(fleet: Fleet) -> None:
    await fleet.controller.wait_for("hello")
    fleet.workers.hold = asyncio.Event()
    fleet.offer()
    fleet.grant(0, 1)
    await fleet.workers.started.wait()
    fleet.controller.say(job_cancellation=JobCancellation(job_id="j", reason="by hand"))
    assert (await fleet.controller.wait_for("job_failed")).error.reason == "cancelled"
    assert fleet.workers.cancelled_count == 1


async def test_a_stop_kills_the_worker_and_says_goodbye(fleet: Fleet) -> None:
    await fleet.controller.wait_for("hello")
    fleet.workers.hold = asyncio.Event()
    fleet.offer()
    fleet.grant(0, 1)
    await fleet.workers.started.wait()
    await fleet.stop_agent()
    assert fleet.workers.cancelled_count == 1
    assert (await fleet.controller.wait_for("goodbye")).reason == "the agent was stopped"


async def test_a_controller_that_says_goodbye_or_ends_the_stream_is_dialled_again(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    await fleet.controller.wait_for("hello")
    fleet.controller.say(goodbye=Goodbye(reason="restarting"))
    await fleet.controller.wait_for("hello", 2)
    fleet.controller.end_session()
    await fleet.controller.wait_for("hello", 3)
    assert "the controller said goodbye: restarting" in caplog.text
    assert "the controller closed the session" in caplog.text


async def test_a_controller_that_is_not_there_is_one_line_and_no_traceback(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    await fleet.controller.wait_for("hello")
    await fleet.controller.stop()
    await fleet.controller.until(lambda: caplog.text.count("no session with") >= 2)
    await fleet.stop_agent()
    lines = [record.getMessage() for record in caplog.records if "no session" in record.getMessage()]
    assert all("\n" not in line for line in lines)
    assert lines[-1].startswith(f"no session with {fleet.controller.address} (unavailable: ")
    assert "trying again in" in lines[-1]


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_WELCOME_TIMEOUT_S", 0.05)


@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize("controller_options", [{"welcomes": False}])
async def test_a_controller_that_does_not_welcome_is_given_up(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    await fleet.controller.wait_for("hello", 2)
    assert "did not answer the hello within 0.05 s" in caplog.text


async def test_a_bug_ends_the_agent_with_its_exception_and_a_goodbye(fleet: Fleet) -> None:
    def behave(block: Block) -> FakeOutcome | None:
        raise ZeroDivisionError("ours")

    fleet.workers.behave = behave
    await fleet.controller.wait_for("hello")
    fleet.offer()
    fleet.grant(0, 1)
    with pytest.raises(ZeroDivisionError):
        await fleet.running
    await fleet.controller.wait_for("goodbye")
