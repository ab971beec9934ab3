"""Drained and quarantined devices, and models that crash again and again on one."""

from __future__ import annotations

import asyncio

import pytest

from steelyard.control.controller import Controller
from steelyard.control.shelf import Shelf
from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, fleet_pb2, health_pb2, identity_pb2, result_pb2
from tests.controller.analysis.planted_rounds import failed_block
from tests.controller.control.planned import add_model, ended, messages, request_for, round_for, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent

CRASHED = result_pb2.BLOCK_STATUS_CRASHED


async def told(controller: Controller, job_id: str, word: str) -> None:
    """Wait until a line of a job's log holds a word."""
    async with asyncio.timeout(20):
        while not any(word in line for line in await messages(controller, job_id)):
            await asyncio.sleep(0.01)


async def kinds(controller: Controller, name: str = "pi5") -> list[str]:
    return [one.kind for one in (await controller.shelf.events(name, 0, ""))[0]]


def crashing(job_id: str, plan: object, index: int) -> result_pb2.RoundResult:
    """A round in which every worker died."""
    result = round_for(job_id, plan, index)
    for block in result.blocks:
        lost = failed_block(block.label, (CRASHED, "died of SIGSEGV"))
        lost.artifact_digest = block.artifact_digest
        block.CopyFrom(lost)
    return result


async def crash_three_times(
    controller: Controller, agent: ScriptedAgent, model: control_pb2.Artifact
) -> control_pb2.Job:
    job_id = (await controller.jobs.submit_measurement(request_for([model]))).job_id
    offer = await agent.accept_job()
    await agent.run_rounds([crashing(job_id, offer.plan, index) for index in range(3)])
    return await ended(controller, job_id)


async def test_a_drained_device_finishes_its_job_and_takes_no_other(
    controller: Controller, agent: ScriptedAgent
) -> None:
    running = await submit(controller)
    offer = await agent.accept_job()
    assert (await controller.shelf.drain("pi5")).draining
    waiting = await submit(controller)
    await told(controller, waiting, "device pi5 is drained; `steelyard device resume pi5`")
    await agent.run_rounds([round_for(running, offer.plan, index) for index in range(3)])
    assert (await ended(controller, running)).state == control_pb2.JOB_STATE_RECORDED
    assert len(agent.all("job_offer")) == 1
    resumed = identity_pb2.ResumeDeviceRequest(device="pi5")
    from steelyard.control.identity_servicer import IdentityServicer

    device = (await IdentityServicer(controller).resume_device(resumed)).device
    assert (device.draining, device.standing) == (False, "")
    assert (await agent.wait_for("job_offer", 2)).job_id == waiting
    assert (await kinds(controller))[:2] == ["resumed", "drained"]


async def test_a_quarantined_device_waits_until_it_is_trusted_again(
    controller: Controller, agent: ScriptedAgent
) -> None:
    device = await controller.shelf.quarantine("pi5", "its sentinel is 9 % slower")
    assert device.quarantined_because == "its sentinel is 9 % slower"
    job_id = await submit(controller)
    await told(controller, job_id, "its sentinel is 9 % slower")
    (listed,), _ = await controller.shelf.quarantines("", 0, "")
    assert (listed.device_name, listed.artifact_digest) == ("pi5", "")
    (lifted,) = await controller.shelf.lift("pi5", "")
    assert lifted.reason == "its sentinel is 9 % slower"
    assert (await agent.wait_for("job_offer")).job_id == job_id


async def test_a_device_is_quarantined_for_a_reason(controller: Controller, agent: ScriptedAgent) -> None:
    with pytest.raises(UsageError, match="say what its sentinel showed"):
        await controller.shelf.quarantine("pi5", "  ")


async def test_a_model_that_crashed_three_times_is_not_sent_there_again(
    controller: Controller, agent: ScriptedAgent
) -> None:
    model = await add_model(controller, "fragile")
    first = await crash_three_times(controller, agent, model)
    assert "fragile-0 is quarantined here: 3 workers crashed" in " ".join(await messages(controller, first.job_id))
    again = (await controller.jobs.submit_measurement(request_for([model]))).job_id
    job = await ended(controller, again)
    assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_USER_ERROR, "artifact_quarantined")
    assert "died of SIGSEGV" in job.error.message
    assert "`steelyard device quarantine lift pi5`" in job.error.message
    assert len(agent.all("job_offer")) == 1
    assert "quarantined" in await kinds(controller)


async def test_a_lifted_quarantine_lets_the_model_run_there_again(controller: Controller, agent: ScriptedAgent) -> None:
    model = await add_model(controller, "fragile")
    await crash_three_times(controller, agent, model)
    (lifted,) = await controller.shelf.lift("pi5", "fragile")
    assert (lifted.artifact_name, lifted.crash_count) == ("fragile", 3)
    job_id = (await controller.jobs.submit_measurement(request_for([model]))).job_id
    assert (await agent.wait_for("job_offer", 2)).job_id == job_id


async def test_another_device_takes_a_model_that_is_quarantined_on_one(
    controller: Controller, agent: ScriptedAgent
) -> None:
    model = await add_model(controller, "fragile")
    await crash_three_times(controller, agent, model)
    async with ScriptedAgent(controller.agent_address, device_id="dev-0002", name="pi4") as other:
        await other.say_hello()
        for name in ("pi5", "pi4"):
            await controller.shelf.tag(name, added=["rack1"], removed=[])
        request = request_for([model], device="tag:rack1")
        job_id = (await controller.jobs.submit_measurement(request)).job_id
        assert (await other.wait_for("job_offer")).job_id == job_id


async def test_a_round_that_arrives_twice_is_one_crash(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    ready = await agent.prepared(crashing(job_id, offer.plan, 0))
    for count in range(1, 5):
        await agent.say(round_ready=ready)
        await agent.wait_for("result_acknowledgement", count)
    assert (await controller.shelf.quarantines("pi5", 0, ""))[0] == []


async def test_a_worker_that_was_killed_from_outside_is_no_crash(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    rounds = [crashing(job_id, offer.plan, index) for index in range(3)]
    for result in rounds:
        result.blocks[0].status = result_pb2.BLOCK_STATUS_KILLED_UNKNOWN
    await agent.run_rounds(rounds)
    await ended(controller, job_id)
    assert (await controller.shelf.quarantines("pi5", 0, ""))[0] == []


async def test_tags_are_added_and_taken_away(controller: Controller, agent: ScriptedAgent) -> None:
    shelf = controller.shelf
    assert list((await shelf.tag("pi5", added=["rack1", "old"], removed=[])).tags) == ["old", "rack1"]
    assert list((await shelf.tag("dev-0001", added=["hot"], removed=["old"])).tags) == ["hot", "rack1"]
    with pytest.raises(UsageError) as refused:
        await shelf.tag("pi5", added=["no good"], removed=[])
    assert refused.value.reason == "invalid_tag"
    with pytest.raises(UsageError, match="too many"):
        await shelf.tag("pi5", added=[f"t{number}" for number in range(31)], removed=[])


async def refused_by(shelf: Shelf, named: str) -> list[str]:
    calls = [
        shelf.tag(named, added=["a"], removed=[]),
        shelf.drain(named),
        shelf.quarantine(named, "why"),
        shelf.lift(named, ""),
        shelf.events(named, 0, ""),
        shelf.quarantines(named, 0, ""),
        shelf.set_switch(named, health_pb2.PowerSwitch()),
        shelf.switch_power(named, fleet_pb2.POWER_ACTION_ON),
        shelf.replace(named, named),
    ]
    reasons = []
    for call in calls:
        with pytest.raises(NotFoundError) as refused:
            await call
        reasons.append(refused.value.reason)
    return reasons


async def test_nothing_can_be_done_with_a_device_that_nobody_knows(
    controller: Controller, agent: ScriptedAgent
) -> None:
    assert set(await refused_by(controller.shelf, "nobody")) == {"device_not_found"}


async def test_a_switch_whose_program_is_missing_is_refused_when_it_is_set(
    controller: Controller, agent: ScriptedAgent
) -> None:
    missing = health_pb2.PowerSwitch(address="command:steelyard-no-such-program {action}")
    with pytest.raises(UsageError, match="'steelyard-no-such-program' is no program there"):
        await controller.shelf.set_switch("pi5", missing)
    assert (await controller.store.call(Store.find_device, "pi5")).power_switch.address == ""


async def test_the_rules_outlive_the_controller(controller: Controller, agent: ScriptedAgent) -> None:
    await controller.shelf.drain("pi5")
    await controller.shelf.set_switch("pi5", health_pb2.PowerSwitch(address="tasmota://plug", most_cycles_an_hour=1))
    stored = await controller.store.call(Store.find_device, "pi5")
    assert (stored.draining, stored.power_switch.address) == (True, "tasmota://plug")
