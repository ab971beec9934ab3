"""Jobs for a pool of devices: which one is taken, and what happens while none is to be had."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from steelyard.control.controller import Controller
from steelyard.control.pools import Pool, parse_pool, refused_because, unfit_because
from steelyard.errors import NotFoundError, UsageError
from steelyard.settings import Settings
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2, session_pb2
from tests.controller.control.planned import ended, messages, round_for, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent, hello_of

RACK = "tag:rack1"
Join = Callable[..., object]


@pytest.fixture
async def join(controller: Controller) -> AsyncIterator[Callable[..., object]]:
    """Connect a device that has the tag rack1."""
    async with AsyncExitStack() as stack:

        async def connect(name: str, *, tagged: bool = True, profile: str = "", runtime: str = "", **fields: object):
            made = ScriptedAgent(controller.agent_address, device_id=f"dev-{name}", name=name)
            agent = await stack.enter_async_context(made)
            hello = hello_of(agent.device_id, name, **fields)
            hello.device.profile = profile
            if runtime:
                hello.device.runtimes.add(name=runtime, version="1.0")
            await agent.open()
            await agent.say(hello=hello)
            await agent.wait_for("welcome")
            if tagged:
                await controller.shelf.tag(name, added=["rack1"], removed=[])
            return agent

        yield connect


async def do(agent: ScriptedAgent, job_id: str) -> None:
    """Take the job's lease and run its rounds."""
    offer = await agent.accept_job()
    assert offer.job_id == job_id
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])


def lease(job_id: str) -> session_pb2.Lease:
    return session_pb2.Lease(job_id=job_id, attempt=1, epoch=9, ttl_ms=45_000)


async def told(controller: Controller, job_id: str, word: str) -> None:
    """Wait until a line of a job's log holds a word."""
    import asyncio

    async with asyncio.timeout(20):
        while not any(word in line for line in await messages(controller, job_id)):
            await asyncio.sleep(0.01)


async def test_a_job_for_a_tag_goes_to_a_device_that_has_it_and_says_which(controller: Controller, join: Join) -> None:
    await join("other", tagged=False)
    board = await join("board")
    job_id = await submit(controller, device=RACK)
    await do(board, job_id)
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    assert (job.device, job.device_id, job.pool) == ("board", "dev-board", RACK)
    assert "device board was chosen from tag:rack1" in await messages(controller, job_id)
    assert (await controller.results.measurement(job)).device_name == "board"


async def test_a_job_for_a_profile_goes_to_a_board_of_that_kind(controller: Controller, join: Join) -> None:
    await join("pi4", tagged=False, profile="raspberry-pi-4b")
    pi5 = await join("pi5", tagged=False, profile="raspberry-pi-5")
    job_id = await submit(controller, device="pool:raspberry-pi-5")
    await do(pi5, job_id)
    assert (await ended(controller, job_id)).device == "pi5"


async def test_two_jobs_at_once_get_two_devices(controller: Controller, join: Join) -> None:
    agents = [await join("one"), await join("two")]
    jobs = [await submit(controller, device=RACK) for _ in agents]
    offers = [await agent.wait_for("job_offer") for agent in agents]
    assert sorted(offer.job_id for offer in offers) == sorted(jobs)


async def test_a_device_that_another_controller_uses_is_not_chosen(controller: Controller, join: Join) -> None:
    await join("busy", lease=lease("job-of-another"))
    free = await join("free")
    job_id = await submit(controller, device=RACK)
    assert (await free.wait_for("job_offer")).job_id == job_id


async def test_while_all_are_busy_the_job_waits_and_takes_the_first_that_is_free(
    controller: Controller, join: Join
) -> None:
    one = await join("one")
    first = await submit(controller, device=RACK)
    offer = await one.accept_job()
    second = await submit(controller, device=RACK)
    await told(controller, second, "all 1 that fit are busy")
    await one.run_rounds([round_for(first, offer.plan, index) for index in range(3)])
    await ended(controller, first)
    offer = await one.wait_for("job_offer", 2)
    assert offer.job_id == second


async def test_an_urgent_job_takes_a_device_of_jobs_that_are_less_urgent(controller: Controller, join: Join) -> None:
    board = await join("board")
    night = await submit(controller, device=RACK, priority=common_pb2.JOB_PRIORITY_NIGHTLY)
    assert (await board.accept_job()).job_id == night
    urgent = await submit(controller, device=RACK, priority=common_pb2.JOB_PRIORITY_INTERACTIVE)
    assert (await board.wait_for("job_offer", 2)).job_id == urgent
    # An equal one does not: it waits for any device.
    equal = await submit(controller, device=RACK, priority=common_pb2.JOB_PRIORITY_INTERACTIVE)
    await told(controller, equal, "are busy")
    assert len(board.all("job_offer")) == 2
    for job_id in (equal, urgent, night):
        await controller.jobs.cancel(job_id)


async def test_a_device_that_joins_later_is_taken(controller: Controller, join: Join) -> None:
    gone = await join("gone")
    await gone.hang_up()
    job_id = await submit(controller, device=RACK)
    await told(controller, job_id, "none that fits is connected")
    late = await join("late")
    assert (await late.wait_for("job_offer")).job_id == job_id


async def test_a_device_without_the_runtime_is_not_chosen(controller: Controller, join: Join) -> None:
    able = await join("able", runtime="onnxruntime")
    await join("unable", runtime="tflite-runtime")
    await controller.shelf.drain("able")
    job_id = await submit(controller, device=RACK)
    await told(controller, job_id, "none that fits is connected")
    await controller.shelf.end_drain(await controller.devices.find("able"))
    assert (await able.wait_for("job_offer")).job_id == job_id


async def test_a_job_that_no_device_fits_ends_with_the_reasons(controller: Controller, join: Join) -> None:
    await join("plain", runtime="onnxruntime")
    drained = await join("drained", runtime="onnxruntime")
    await controller.shelf.drain("drained")
    await controller.shelf.quarantine("plain", "its sentinel is 9 % slower")
    job_id = await submit(controller, device=RACK, device_wait_ms=1)
    job = await ended(controller, job_id)
    assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_DEVICE_LOST, "no_device_fits")
    assert "its sentinel is 9 % slower" in job.error.message
    assert "device drained is drained" in job.error.message
    assert drained.all("job_offer") == []


async def test_a_pool_without_a_device_is_refused_when_the_job_is_submitted(controller: Controller, join: Join) -> None:
    await join("board", tagged=False)
    with pytest.raises(NotFoundError, match="no device is in tag:rack1") as refused:
        await submit(controller, device=RACK)
    assert refused.value.reason == "pool_is_empty"


async def test_a_job_that_has_rounds_goes_on_where_it_began_after_a_restart(settings: Settings) -> None:
    controller = Controller(settings)
    await controller.start()
    async with ScriptedAgent(controller.agent_address, device_id="dev-one", name="one") as one:
        await one.say_hello()
        await controller.shelf.tag("one", added=["rack1"], removed=[])
        job_id = await submit(controller, device=RACK)
        offer = await one.accept_job()
        await one.run_rounds([round_for(job_id, offer.plan, 0)])
        await controller.stop()
    successor = Controller(settings)
    await successor.start()
    try:
        async with (
            ScriptedAgent(successor.agent_address, device_id="dev-two", name="two") as two,
            ScriptedAgent(successor.agent_address, device_id="dev-one", name="one") as one,
        ):
            await two.say_hello()
            await successor.shelf.tag("two", added=["rack1"], removed=[])
            await one.say_hello()
            assert (await one.wait_for("job_offer")).job_id == job_id
            assert two.all("job_offer") == []
    finally:
        await successor.stop()


async def test_what_is_planned_for_a_pool_fits_its_smallest_device(controller: Controller, join: Join) -> None:
    await join("big")
    small = hello_of("dev-small", "small").device
    small.logical_core_count = 2
    small.processor_features.extend(["asimddp", "fp16"])
    await controller.store.call(Store.put_device, small, "0.1.0")
    await controller.shelf.tag("small", added=["rack1"], removed=[])
    assert await controller.devices.core_count(RACK) == 2
    assert await controller.devices.processor_features(RACK) == frozenset()
    assert await controller.devices.processor_features("small") == {"asimddp", "fp16"}


@pytest.mark.parametrize("text", ["pi5", "local", "3f2a", "a:b", "tags:x"])
def test_a_name_is_no_pool(text: str) -> None:
    assert parse_pool(text) is None


def test_a_pool_is_read_and_written_alike() -> None:
    assert parse_pool("tag:rack1") == Pool(kind="tag", name="rack1")
    assert str(parse_pool("pool:raspberry-pi-5")) == "pool:raspberry-pi-5"


@pytest.mark.parametrize(
    ("text", "reason"), [("tag:", "invalid_pool"), ("pool:", "invalid_pool"), ("tag:a b", "invalid_tag")]
)
def test_a_pool_that_makes_no_sense_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_pool(text)
    assert refused.value.reason == reason


@pytest.mark.parametrize("standing", ["suspended", "removed"])
def test_a_device_that_may_not_connect_is_in_no_pool(standing: str) -> None:
    device = control_pb2.Device(tags=["rack1"], standing=standing)
    assert not Pool(kind="tag", name="rack1").holds(device)


def test_a_device_that_says_nothing_of_its_runtimes_is_asked() -> None:
    plan = plan_pb2.Plan(artifacts=[plan_pb2.PlannedArtifact(runtime=plan_pb2.RuntimeSpec(name="litert"))])
    assert unfit_because(common_pb2.DeviceDescription(), plan) == ""
    broken = common_pb2.RuntimeDescription(name="litert", version="2.1", reason="it cannot be imported")
    assert unfit_because(common_pb2.DeviceDescription(runtimes=[broken]), plan) == "it has no litert"
    plan.artifacts[0].runtime.environment = "old"
    usable = common_pb2.RuntimeDescription(name="litert", version="2.1")
    assert unfit_because(common_pb2.DeviceDescription(runtimes=[usable]), plan) == "it has no litert@old"


def test_why_a_device_takes_nothing_names_the_way_out() -> None:
    device = control_pb2.Device(description=common_pb2.DeviceDescription(name="pi5"))
    assert refused_because(device) == ""
    assert "net0 is quarantined" in refused_because(device, ["net0"])
    device.draining = True
    assert "`steelyard device resume pi5`" in refused_because(device)
