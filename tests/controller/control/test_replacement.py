"""Series that go on under the device that took another one's place, with the change marked."""

from __future__ import annotations

import pytest

from steelyard.control.controller import Controller
from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2
from tests.controller.control.planned import add_model, ended, request_for, round_for
from tests.controller.fleet.scripted_agent import ScriptedAgent


async def measured(controller: Controller, agent: ScriptedAgent, model: control_pb2.Artifact) -> control_pb2.Job:
    """Measure a model on the agent's device."""
    request, offers_before = request_for([model], device=agent.device_id), len(agent.all("job_offer"))
    job_id = (await controller.jobs.submit_measurement(request)).job_id
    offer = await agent.accept_job(count=offers_before + 1)
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    return await ended(controller, job_id)


async def warnings_of(controller: Controller, job: control_pb2.Job) -> list[str]:
    return [one for one in (await controller.results.measurement(job)).warnings if "the device changed" in one]


async def test_the_sessions_of_the_old_device_go_on_marked_under_the_new_one(
    controller: Controller, agent: ScriptedAgent
) -> None:
    model = await add_model(controller)
    before = await measured(controller, agent, model)
    async with ScriptedAgent(controller.agent_address, device_id="dev-0002", name="pi5-2") as new:
        await new.say_hello()
        await controller.shelf.replace("pi5", "pi5-2")
        after = await measured(controller, new, model)
        record = await controller.results.record_of(after)
        again = await measured(controller, new, model)
    assert {(one.job_id, one.generation) for one in record.history.sessions} == {(before.job_id, 1)}
    (replacement,) = record.history.replacements
    assert (replacement.old_device_name, replacement.new_device_name) == ("pi5", "pi5-2")
    (told,) = await warnings_of(controller, after)
    assert "it took the place of pi5 on 20" in told
    assert "1 earlier figures" in (await controller.results.measurement(after)).session_spread
    generations = {one.job_id: one.generation for one in (await controller.results.record_of(again)).history.sessions}
    assert generations == {before.job_id: 1, after.job_id: 0}
    assert await warnings_of(controller, again) != []


async def test_what_was_measured_before_the_change_says_nothing_of_it(
    controller: Controller, agent: ScriptedAgent
) -> None:
    model = await add_model(controller)
    await measured(controller, agent, model)
    async with ScriptedAgent(controller.agent_address, device_id="dev-0002", name="pi5-2") as new:
        await new.say_hello()
        early = await measured(controller, new, model)
        await controller.shelf.replace("pi5", "pi5-2")
    assert await warnings_of(controller, early) == []
    assert list((await controller.results.record_of(early)).history.replacements) == []


async def test_a_model_that_the_old_device_never_measured_has_no_mark(
    controller: Controller, agent: ScriptedAgent
) -> None:
    await measured(controller, agent, await add_model(controller, "one", seed=1))
    async with ScriptedAgent(controller.agent_address, device_id="dev-0002", name="pi5-2") as new:
        await new.say_hello()
        await controller.shelf.replace("pi5", "pi5-2")
        job = await measured(controller, new, await add_model(controller, "two", seed=2))
    assert await warnings_of(controller, job) == []


async def test_rounds_of_the_new_device_are_not_added_to_a_measurement_of_the_old_one(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job = await measured(controller, agent, await add_model(controller))
    async with ScriptedAgent(controller.agent_address, device_id="dev-0002", name="pi5-2") as new:
        await new.say_hello()
        await controller.shelf.replace("pi5", "pi5-2")
        more = control_pb2.SubmitMeasurementRequest(extended_job_id=job.job_id, device="pi5-2")
        with pytest.raises(UsageError) as refused:
            await controller.jobs.submit_measurement(more)
    assert refused.value.reason == "other_device"


async def test_old_results_stay_with_the_device_that_measured_them_when_its_name_is_taken(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job = await measured(controller, agent, await add_model(controller))
    await controller.doors.administration.set_standing("dev-0001", "removed")
    async with ScriptedAgent(controller.agent_address, device_id="dev-0002", name="pi5") as new:
        await new.say_hello()
        assert (await controller.devices.find("pi5")).description.device_id == "dev-0002"
        record = await controller.results.record_of(job)
    assert record.device.device_id == "dev-0001"
