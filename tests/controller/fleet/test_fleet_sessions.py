"""Sessions over real gRPC: who comes in, what is acknowledged, and how a session ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import grpc.aio
import pytest

from steelyard.errors import SteelyardError, UsageError
from steelyard.fleet.inbox import JobInbox, LinkLost, LinkUp, RoundRecorded
from steelyard.fleet.registry import Fleet
from steelyard.fleet.session_servicer import SessionHooks, SessionServicer
from steelyard_protocol.v1 import result_pb2, session_pb2, session_pb2_grpc
from tests.controller.fleet.scripted_agent import ScriptedAgent, hello_of, key_of

ROUND = result_pb2.RoundResult(job_id="job-0001", attempt=1, pass_kind=result_pb2.PASS_LATENCY, round_index=3)
READY = session_pb2.RoundReady(key=key_of(ROUND), epoch=1, result_digest="ab" * 32, result_size_bytes=10)


@dataclass
class Desk:
    """The controller's side, in memory. ``held`` are recorded keys; a job in ``running`` runs here."""

    fleet: Fleet = field(default_factory=Fleet)
    registered: list[str] = field(default_factory=list)
    held: list[result_pb2.ResultKey] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    refuse: SteelyardError | None = None
    address: str = ""

    async def register(self, hello: session_pb2.Hello) -> None:
        if not hello.device.name:
            raise UsageError("invalid_name", "a device without a name is none; name it with --name")
        self.registered.append(hello.device.device_id)

    async def record(self, _device_id: str, ready: session_pb2.RoundReady) -> result_pb2.RoundResult:
        if self.refuse is not None:
            raise self.refuse
        self.held.append(ready.key)
        return ROUND

    async def recorded(self, keys: list[result_pb2.ResultKey]) -> list[result_pb2.ResultKey]:
        return [key for key in keys if key in self.held]

    @asynccontextmanager
    async def serving(self, heartbeat_s: float) -> AsyncIterator[Desk]:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        hooks = SessionHooks(
            register=self.register, record=self.record, recorded=self.recorded, runs=self.running.__contains__
        )
        servicer = SessionServicer(self.fleet, hooks, controller_id="c-1", heartbeat_interval_s=heartbeat_s)
        session_pb2_grpc.add_SessionServiceServicer_to_server(servicer, server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield self
        finally:
            await server.stop(None)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with Desk().serving(60.0) as serving:
        yield serving


@pytest.fixture
async def agent(desk: Desk) -> AsyncIterator[ScriptedAgent]:
    async with ScriptedAgent(desk.address) as made:
        yield made


async def heard(inbox: JobInbox) -> object:
    news = await inbox.get(20.0)
    assert news is not None
    return news


@pytest.mark.parametrize(
    "first",
    [
        {"heartbeat": session_pb2.Heartbeat(activity="idle")},
        {"hello": session_pb2.Hello(boot_id="b")},
    ],
    ids=["a heartbeat", "a hello without a device"],
)
async def test_a_session_that_does_not_begin_with_a_hello_is_refused(desk: Desk, agent: ScriptedAgent, first) -> None:
    await agent.open()
    await agent.say(**first)
    code, details = await agent.status()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "hello" in details
    assert desk.registered == []


async def test_a_device_that_cannot_be_registered_hears_why(desk: Desk, agent: ScriptedAgent) -> None:
    await agent.open()
    await agent.say(hello=hello_of("dev-0001", ""))
    code, details = await agent.status()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "--name" in details
    assert list(desk.fleet.present()) == []


async def test_a_stream_that_ends_without_a_word_is_nobody(desk: Desk, agent: ScriptedAgent) -> None:
    await agent.open()
    await agent.call.done_writing()
    code, _ = await agent.status()
    assert code is grpc.StatusCode.OK
    assert list(desk.fleet.present()) == []


async def test_a_hello_is_acknowledged_and_welcomed(desk: Desk, agent: ScriptedAgent) -> None:
    await agent.say_hello()
    assert [one.WhichOneof("payload") for one in agent.received[:2]] == ["acknowledgement", "welcome"]
    assert [one.message_id for one in agent.received[:2]] == [1, 2]
    assert agent.all("acknowledgement")[0].message_id == 1
    welcome = agent.all("welcome")[0]
    assert welcome.controller_id == "c-1"
    assert welcome.heartbeat_interval_ms == 60_000
    assert welcome.now.seconds > 0
    assert desk.registered == ["dev-0001"]


async def test_every_message_gets_its_receipt_but_an_acknowledgement_gets_none(
    desk: Desk, agent: ScriptedAgent
) -> None:
    await agent.say_hello()
    await agent.say(acknowledgement=session_pb2.Acknowledgement(message_id=1))
    beat = await agent.say(heartbeat=session_pb2.Heartbeat(activity="running", free_disk_bytes=5))
    receipt = await agent.wait_for("acknowledgement", 2)
    assert receipt.message_id == beat
    presence = desk.fleet.presence("dev-0001")
    assert presence is not None
    assert (presence.activity, presence.free_disk_bytes) == ("running", 5)


async def test_what_is_said_of_a_job_reaches_its_inbox(desk: Desk, agent: ScriptedAgent) -> None:
    inbox = desk.fleet.listen("job-0001", "dev-0001")
    await agent.say_hello()
    said = [
        ("lease_answer", session_pb2.LeaseAnswer(job_id="job-0001", attempt=1)),
        ("job_progress", session_pb2.JobProgress(job_id="job-0001", detail="original")),
        ("grant_finished", session_pb2.GrantFinished(job_id="job-0001", epoch=2)),
        ("job_failed", session_pb2.JobFailed(job_id="job-0001", attempt=1)),
    ]
    for kind, message in said:
        await agent.say(**{kind: message})
    assert isinstance(await heard(inbox), LinkUp)
    assert [await heard(inbox) for _ in said] == [message for _, message in said]


async def test_news_of_a_job_that_nobody_runs_are_dropped(desk: Desk, agent: ScriptedAgent) -> None:
    inbox = desk.fleet.listen("job-0001", "dev-0001")
    desk.fleet.unlisten("job-0001")
    await agent.say_hello()
    await agent.say(job_failed=session_pb2.JobFailed(job_id="job-0001"))
    await agent.wait_for("acknowledgement", 2)
    assert await inbox.get(0.0) is None


async def test_a_recorded_round_is_acknowledged_and_told_to_its_job(desk: Desk, agent: ScriptedAgent) -> None:
    inbox = desk.fleet.listen("job-0001", "dev-0001")
    await agent.say_hello()
    await agent.say(round_ready=READY)
    acknowledged = await agent.wait_for("result_acknowledgement")
    assert list(acknowledged.keys) == [READY.key]
    assert isinstance(await heard(inbox), LinkUp)
    assert await heard(inbox) == RoundRecorded(key=READY.key, result=ROUND)


async def test_a_round_that_cannot_be_recorded_is_not_acknowledged_and_the_session_goes_on(
    desk: Desk, agent: ScriptedAgent
) -> None:
    inbox = desk.fleet.listen("job-0001", "dev-0001")
    desk.refuse = SteelyardError("other_device", "job job-0001 belongs to another device")
    await agent.say_hello()
    await agent.say(round_ready=READY)
    await agent.say(heartbeat=session_pb2.Heartbeat())
    await agent.wait_for("acknowledgement", 3)
    assert agent.all("result_acknowledgement") == []
    assert isinstance(await heard(inbox), LinkUp)
    assert await inbox.get(0.0) is None


async def test_results_that_are_recorded_already_are_acknowledged_at_the_hello(
    desk: Desk, agent: ScriptedAgent
) -> None:
    other = result_pb2.ResultKey(job_id="job-0002", attempt=1)
    desk.held.append(READY.key)
    await agent.say_hello(unacknowledged=[READY.key, other])
    acknowledged = await agent.wait_for("result_acknowledgement")
    assert list(acknowledged.keys) == [READY.key]


async def test_a_lease_of_a_job_that_nobody_runs_is_released(desk: Desk, agent: ScriptedAgent) -> None:
    await agent.say_hello(lease=session_pb2.Lease(job_id="job-0009", attempt=2, epoch=1))
    release = await agent.wait_for("lease_release")
    assert (release.job_id, release.attempt) == ("job-0009", 2)


async def test_a_lease_of_a_running_job_is_kept(desk: Desk, agent: ScriptedAgent) -> None:
    desk.running.add("job-0009")
    await agent.say_hello(lease=session_pb2.Lease(job_id="job-0009", attempt=2, epoch=1))
    await agent.say(heartbeat=session_pb2.Heartbeat())
    await agent.wait_for("acknowledgement", 2)
    assert agent.all("lease_release") == []


async def test_a_newer_session_of_a_device_replaces_the_older(desk: Desk, agent: ScriptedAgent) -> None:
    inbox = desk.fleet.listen("job-0001", "dev-0001")
    await agent.say_hello()
    async with ScriptedAgent(desk.address) as newer:
        await newer.say_hello()
        goodbye = await agent.wait_for("goodbye")
        assert "newer session" in goodbye.reason
        await asyncio.wait_for(agent.ended.wait(), 60)
        assert len(list(desk.fleet.present())) == 1
        await newer.say(heartbeat=session_pb2.Heartbeat(activity="staging"))
        await newer.wait_for("acknowledgement", 2)
        presence = desk.fleet.presence("dev-0001")
        assert presence is not None
        assert presence.activity == "staging"
    # The older one's end is no loss of the device; the newer one's is.
    news = [await heard(inbox) for _ in range(3)]
    assert [type(one) for one in news] == [LinkUp, LinkUp, LinkLost]


@pytest.mark.parametrize("end", ["goodbye", "half close", "hang up"])
async def test_a_session_ends_in_each_way_and_the_job_hears_it(desk: Desk, agent: ScriptedAgent, end: str) -> None:
    inbox = desk.fleet.listen("job-0001", "dev-0001")
    await agent.say_hello()
    if end == "goodbye":
        await agent.say(goodbye=session_pb2.Goodbye(reason="told to stop"))
    elif end == "half close":
        await agent.call.done_writing()
    else:
        await agent.hang_up()
    assert isinstance(await heard(inbox), LinkUp)
    lost = await heard(inbox)
    assert isinstance(lost, LinkLost)
    expected = {"goodbye": "told to stop", "half close": "without a goodbye", "hang up": "the connection"}
    assert expected[end] in lost.reason
    assert desk.fleet.presence("dev-0001") is None


async def test_a_message_past_64_kib_ends_the_session(desk: Desk, agent: ScriptedAgent) -> None:
    await agent.say_hello()
    await agent.say(job_progress=session_pb2.JobProgress(detail="x" * 70_000))
    code, details = await agent.status()
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "64 KiB" in details


async def test_a_hello_past_64_kib_is_refused(desk: Desk, agent: ScriptedAgent) -> None:
    await agent.open()
    await agent.say(hello=hello_of("dev-0001", "n" * 70_000))
    code, _ = await agent.status()
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert desk.registered == []


async def test_a_silent_device_is_lost_after_three_heartbeats() -> None:
    async with Desk().serving(0.05) as desk, ScriptedAgent(desk.address) as agent:
        inbox = desk.fleet.listen("job-0001", "dev-0001")
        await agent.say_hello()
        assert isinstance(await heard(inbox), LinkUp)
        lost = await heard(inbox)
        assert isinstance(lost, LinkLost)
        assert "silent" in lost.reason
        await asyncio.wait_for(agent.ended.wait(), 60)


async def test_a_running_job_may_keep_the_link_quiet_for_its_longest_block() -> None:
    async with Desk().serving(0.02) as desk, ScriptedAgent(desk.address) as agent:
        inbox = desk.fleet.listen("job-0001", "dev-0001")
        await agent.open()
        await agent.say(hello=hello_of("dev-0001", "pi5"))
        assert isinstance(await heard(inbox), LinkUp)
        presence = desk.fleet.presence("dev-0001")
        assert presence is not None
        presence.quiet_s = 30.0
        await agent.say(heartbeat=session_pb2.Heartbeat())
        # Longer than three heartbeats: what would be silence of an idle device.
        assert await inbox.get(0.3) is None
        assert desk.fleet.presence("dev-0001") is presence


async def test_waiting_for_a_device_ends_when_it_comes_or_when_the_time_is_up(desk: Desk, agent: ScriptedAgent) -> None:
    named: Callable[[object], bool] = lambda presence: presence.link.name == "pi5"  # noqa: E731
    assert await desk.fleet.wait_for(named, 0.01) is None
    waiting = asyncio.create_task(desk.fleet.wait_for(named, 20))
    await agent.say_hello()
    presence = await waiting
    assert presence is not None
    assert presence.hello.boot_id == "boot-1"
    desk.fleet.seen("nobody")


async def test_an_inbox_without_a_time_limit_waits_for_its_news() -> None:
    inbox = JobInbox("job-0001", "dev-0001")
    waiting = asyncio.create_task(inbox.get())
    inbox.put(LinkLost(reason="gone"))
    assert await waiting == LinkLost(reason="gone")


async def test_a_cancellation_that_comes_with_the_news_is_not_swallowed() -> None:
    # What asyncio.wait_for does before Python 3.12: the task went on, and whoever waited for its end waited for ever.
    inbox = JobInbox("job-0001", "dev-0001")
    waiting = asyncio.create_task(inbox.get(20.0))
    await asyncio.sleep(0)
    inbox.put(LinkLost(reason="gone"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()
