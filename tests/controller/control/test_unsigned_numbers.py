"""Numbers that the wire can carry and no table can hold."""

from __future__ import annotations

from steelyard.control.controller import Controller
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2
from tests.controller.control.planned import ended, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent

LARGEST = 2**64 - 1


async def test_an_epoch_that_no_lease_has_ends_the_job_in_words(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    await agent.accept_job(epoch=LARGEST)
    job = await ended(controller, job_id)
    assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_AGENT_ERROR, "bad_epoch")
    assert str(LARGEST) in job.error.message


async def test_there_are_no_events_behind_the_last_cursor(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    await agent.accept_job()
    await agent.wait_for("round_grant")
    assert await controller.store.call(Store.list_events, job_id, 0, 10)
    assert await controller.store.call(Store.list_events, job_id, LARGEST, 10) == []
    await controller.jobs.cancel(job_id)
