"""Cancels, limits of states and commands that died: every job ends, in bounded time, whatever its device does."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from steelyard.control import jobs as jobs_module
from steelyard.control.controller import Controller
from steelyard.control.jobs import Jobs
from steelyard.control.state_clock import StateClock
from steelyard.settings import Settings
from steelyard.state_limits import StateLimits
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, result_pb2, session_pb2
from tests.controller.control.planned import add_model, ended, request_for, round_for, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent

BOUND_S = 30.0
PHASES = {
    "staging": session_pb2.JOB_PHASE_STAGING,
    "gating": session_pb2.JOB_PHASE_GATING,
    "running": session_pb2.JOB_PHASE_RUNNING,
}
Bring = Callable[[Controller, ScriptedAgent, str], Awaitable[None]]


async def hanging(*_arguments: object, **_more: object) -> None:
    await asyncio.Event().wait()


async def until_state(controller: Controller, job_id: str, state: str) -> None:
    async def watch() -> None:
        wanted = control_pb2.JobState.Value(f"JOB_STATE_{state.upper()}")
        while (await controller.store.call(Store.get_job, job_id)).state != wanted:
            await asyncio.sleep(0.005)

    await asyncio.wait_for(watch(), BOUND_S)


async def bring_to(controller: Controller, agent: ScriptedAgent, job_id: str, state: str, *, wait: bool = True) -> None:
    """Bring a job into a state, which its device then does nothing about."""
    if state == "queued":
        await agent.wait_for("job_offer")
        return
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    if state in PHASES:
        progress = session_pb2.JobProgress(
            job_id=job_id, attempt=1, phase=PHASES[state], pass_kind=result_pb2.PASS_LATENCY, detail="net0-0"
        )
        await agent.say(job_progress=progress)
    if state == "uploading":
        await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    if wait:
        await until_state(controller, job_id, state)


STATES = ["queued", "leased", "staging", "gating", "running", "uploading"]


@pytest.fixture
def slow_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what the controller does with a device's outputs never end."""

    async def uploading(*_arguments: object, tell: Callable[[str], Awaitable[None]], **_more: object) -> None:
        await tell("comparing outputs")
        await hanging()

    monkeypatch.setattr(jobs_module, "keep_numeric", uploading)


@pytest.mark.usefixtures("slow_ends")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("device", ["hung", "away"])
async def test_a_cancel_ends_a_job_in_every_state_with_its_device_hung_or_away(
    controller: Controller, agent: ScriptedAgent, state: str, device: str
) -> None:
    job_id = await submit(controller)
    await bring_to(controller, agent, job_id, state)
    if device == "away":
        await agent.hang_up()
    job = await asyncio.wait_for(controller.jobs.cancel(job_id), BOUND_S)
    assert job.state == control_pb2.JOB_STATE_CANCELLED
    assert not controller.jobs.runs(job_id)
    if device == "hung":
        assert (await agent.wait_for("lease_release")).job_id == job_id
    else:
        # It comes back, believes that it has the job, and is told.
        await agent.say_hello(lease=session_pb2.Lease(job_id=job_id, attempt=1, epoch=1))
        assert (await agent.wait_for("lease_release")).job_id == job_id


async def test_a_job_that_waits_for_its_device_to_connect_is_cancelled(controller: Controller) -> None:
    async with ScriptedAgent(controller.agent_address) as agent:
        await agent.say_hello()
        await agent.hang_up()
    job_id = await submit(controller, device_wait_ms=3_600_000)
    job = await asyncio.wait_for(controller.jobs.cancel(job_id), BOUND_S)
    assert job.state == control_pb2.JOB_STATE_CANCELLED


async def test_a_heartbeat_that_names_a_lease_of_a_job_that_ended_is_answered_with_a_release(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job_id = await submit(controller)
    await bring_to(controller, agent, job_id, "running")
    await controller.jobs.cancel(job_id)
    await agent.wait_for("lease_release")
    lease = session_pb2.Lease(job_id=job_id, attempt=1, epoch=1)
    await agent.say(heartbeat=session_pb2.Heartbeat(activity="running", lease=lease))
    assert (await agent.wait_for("lease_release", 2)).job_id == job_id


async def test_a_task_that_does_not_end_does_not_keep_its_job_from_being_cancelled(
    controller: Controller, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    let_go, entered = asyncio.Event(), asyncio.Event()

    async def stubborn(*_arguments: object, **_more: object) -> None:
        entered.set()
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()

    monkeypatch.setattr(jobs_module, "keep_numeric", stubborn)
    monkeypatch.setattr(jobs_module, "_CANCEL_GRACE_S", 0.01)
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    await entered.wait()
    with caplog.at_level(logging.WARNING):
        job = await asyncio.wait_for(controller.jobs.cancel(job_id), BOUND_S)
    assert job.state == control_pb2.JOB_STATE_CANCELLED
    assert any("still works" in record.message for record in caplog.records)
    let_go.set()
    assert (await ended(controller, job_id)).state == control_pb2.JOB_STATE_CANCELLED


def with_limits(controller: Controller, **limits: float) -> None:
    controller.jobs = Jobs(dataclasses.replace(controller.jobs._world, limits=StateLimits(**limits)))


@pytest.mark.usefixtures("slow_ends")
@pytest.mark.parametrize("state", STATES)
async def test_a_job_that_stays_in_a_state_for_too_long_ends_with_that_state_as_its_reason(
    controller: Controller, agent: ScriptedAgent, state: str
) -> None:
    # Long enough for what the device is to be sent in that state, on a busy machine too.
    with_limits(controller, **{f"{state}_s": 2.0 if state in ("queued", "leased") else 0.2})
    job_id = await submit(controller)
    await bring_to(controller, agent, job_id, state, wait=False)
    job = await ended(controller, job_id)
    assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_TIMEOUT, f"timeout_{state}")
    assert f"{state}=TIME" in job.error.message
    assert (await agent.wait_for("lease_release")).job_id == job_id


async def test_a_compression_that_tells_nothing_for_too_long_ends(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def compress(*_arguments: object, heard: Callable[[], None], **_more: object) -> None:
        heard()
        await hanging()

    monkeypatch.setattr(jobs_module, "compress_job", compress)
    with_limits(controller, running_s=0.05)
    model = await add_model(controller)
    recipe = 'name = "r"\n[[steps]]\nkind = "dynamic-int8"\n'
    request = control_pb2.SubmitCompressionRequest(artifact_digest=model.digest, recipe_toml=recipe)
    job = await ended(controller, (await controller.jobs.submit_compression(request)).job_id)
    assert job.error.reason == "timeout_running"


async def test_news_of_what_runs_count_anew_and_news_of_waiting_do_not() -> None:
    waiting, running = control_pb2.JOB_STATE_GATING, control_pb2.JOB_STATE_RUNNING
    async with asyncio.timeout(None) as timeout:
        clock = StateClock(StateLimits(), timeout)
        deadlines = []
        for state in (waiting, waiting, running, running, waiting):
            clock.told(state)
            deadlines.append(timeout.when())
            await asyncio.sleep(0.01)
        assert deadlines[0] == deadlines[1]
        assert deadlines[2] < deadlines[3]
        assert deadlines[0] < deadlines[4]
        clock.told(control_pb2.JOB_STATE_RECORDED)
        assert timeout.when() is None


async def left_by(settings: Settings, *, temporary: bool) -> str:
    """Leave a job behind, as a controller does that is killed."""
    controller = Controller(settings, temporary=temporary)
    await controller.start()
    try:
        async with ScriptedAgent(controller.agent_address) as agent:
            await agent.say_hello()
            job_id = await submit(controller)
            await bring_to(controller, agent, job_id, "gating")
    finally:
        await controller.stop()
    return job_id


async def found_by(settings: Settings, job_id: str, *, temporary: bool) -> control_pb2.Job:
    controller = Controller(settings, temporary=temporary)
    await controller.start()
    try:
        return await controller.store.call(Store.get_job, job_id)
    finally:
        await controller.stop()


async def test_a_job_of_a_command_that_died_is_ended_by_the_next_command(settings: Settings) -> None:
    job = await found_by(settings, await left_by(settings, temporary=True), temporary=True)
    assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_CANCELLED, "command_ended")
    assert "submit it again" in job.error.message


@pytest.mark.parametrize(("left_temporary", "found_temporary"), [(False, True), (True, False), (False, False)])
async def test_a_job_that_a_serving_controller_ran_or_will_run_is_left_as_it_is(
    settings: Settings, left_temporary: bool, found_temporary: bool
) -> None:
    job_id = await left_by(settings, temporary=left_temporary)
    job = await found_by(settings, job_id, temporary=found_temporary)
    assert job.state in {control_pb2.JOB_STATE_GATING, control_pb2.JOB_STATE_QUEUED}


async def test_the_same_request_made_again_gives_the_job_that_it_made(
    controller: Controller, agent: ScriptedAgent
) -> None:
    model = await add_model(controller)
    request: Any = request_for([model], request_id="mine")
    first = await controller.jobs.submit_measurement(request)
    second = await controller.jobs.submit_measurement(request)
    assert first.job_id == second.job_id
    await controller.jobs.cancel(first.job_id)
