"""Jobs of a real controller with an agent by hand: every end of a job, and going on after every interruption."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from steelyard.control import devices, job_lease
from steelyard.control.controller import Controller
from steelyard.control.jobs import Jobs
from steelyard.errors import NotFoundError
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2, session_pb2
from tests.controller.analysis.planted_rounds import failed_block
from tests.controller.control.planned import (
    add_model,
    add_task,
    ended,
    labels,
    messages,
    npz,
    request_for,
    round_for,
    submit,
)
from tests.controller.fleet.scripted_agent import ScriptedAgent, hello_of

LATENCY, EVALUATION, ENERGY = result_pb2.PASS_LATENCY, result_pb2.PASS_EVALUATION, result_pb2.PASS_ENERGY


def with_grace(controller: Controller, lost_grace_s: float) -> None:
    """Let devices that went away have only so long to come back."""
    controller.jobs = Jobs(dataclasses.replace(controller.jobs._world, lost_grace_s=lost_grace_s))


async def test_a_job_runs_from_its_offer_to_its_record(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller, 2)
    offer = await agent.accept_job()
    assert (offer.job_id, offer.attempt, offer.segment) == (job_id, 1, 0)
    grant = await agent.wait_for("round_grant")
    assert (grant.pass_kind, grant.first_round, grant.round_count, grant.epoch) == (LATENCY, 0, 3, 1)
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    assert (await agent.wait_for("lease_release")).job_id == job_id
    measurement = await controller.results.measurement(job)
    assert measurement.round_count == 3
    assert measurement.device_name == "pi5"
    states = [event.state for event in await controller.store.call(Store.list_events, job_id)]
    assert states[0] == control_pb2.JOB_STATE_LEASED
    assert states[-1] == control_pb2.JOB_STATE_RECORDED


async def test_a_task_is_evaluated_before_and_energy_is_read_after_the_rounds(controller: Controller) -> None:
    async with ScriptedAgent(controller.agent_address) as agent:
        hello = hello_of("dev-0001", "pi5")
        hello.device.meters.add(name="power", unit="W", value=3.0, status=common_pb2.READING_STATUS_MEASURED)
        await agent.open()
        await agent.say(hello=hello)
        await agent.wait_for("welcome")
        task = await add_task(controller)
        model = await add_model(controller)
        job_id = (await controller.jobs.submit_measurement(request_for([model], task=task))).job_id
        offer = await agent.accept_job()
        assert await agent.download(task.evaluation_digest, job_id) == controller.blobs.read_bytes(
            task.evaluation_digest
        )
        outputs = npz(argmax=np.where(np.arange(40) < 30, labels(), labels() + 1).astype(np.int64))
        assert (await agent.wait_for("round_grant")).pass_kind == EVALUATION
        evaluation = round_for(job_id, offer.plan, 0, pass_kind=EVALUATION, outputs=outputs)
        await agent.run_rounds([evaluation], outputs=[outputs])
        assert (await agent.wait_for("round_grant", 2)).pass_kind == LATENCY
        await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
        assert (await agent.wait_for("round_grant", 3)).pass_kind == ENERGY
        await agent.run_rounds([round_for(job_id, offer.plan, index, pass_kind=ENERGY) for index in range(3)])
        job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    variant = (await controller.results.measurement(job)).variants[0]
    assert (variant.correct_count, variant.evaluated_count) == (30, 40)


async def test_what_the_device_does_is_told_as_it_does_it(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    staging = session_pb2.JobProgress(
        job_id=job_id, phase=session_pb2.JOB_PHASE_STAGING, detail="net0", bytes_done=1000, bytes_total=2000
    )
    running = session_pb2.JobProgress(
        job_id=job_id, phase=session_pb2.JOB_PHASE_RUNNING, pass_kind=LATENCY, detail="net0-0", blocks_done=1
    )
    for progress in (staging, session_pb2.JobProgress(job_id=job_id), running):
        await agent.say(job_progress=progress)
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    await ended(controller, job_id)
    told = await messages(controller, job_id)
    assert "sending net0: 1,000 of 2,000 bytes" in told
    assert "latency round 1: net0-0" in told
    assert "latency round 3 recorded" in told


async def test_a_busy_device_is_asked_again_and_its_holder_is_named_once(
    controller: Controller, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lease, "_REFUSED_RETRY_S", 0.01)
    job_id = await submit(controller)
    for count in range(1, 4):
        await agent.wait_for("job_offer", count)
        refusal = session_pb2.LeaseAnswer(job_id=job_id, attempt=1, refused_because="job 77 of the laptop holds it")
        await agent.say(lease_answer=refusal)
    told = await messages(controller, job_id)
    assert told.count("waiting for the device: job 77 of the laptop holds it") == 1
    assert (await controller.jobs.cancel(job_id)).state == control_pb2.JOB_STATE_CANCELLED


async def test_an_offer_that_nobody_answers_is_made_again(
    controller: Controller, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lease, "_LEASE_ANSWER_TIMEOUT_S", 0.01)
    job_id = await submit(controller)
    await agent.wait_for("job_offer", 3)
    await controller.jobs.cancel(job_id)


async def test_a_device_that_never_connects_is_lost_with_what_to_do(controller: Controller) -> None:
    async with ScriptedAgent(controller.agent_address) as agent:
        await agent.say_hello()
        await agent.hang_up()
    job_id = await submit(controller, device_wait_ms=10)
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_DEVICE_LOST
    assert job.error.reason == "device_not_connected"
    assert "device pi5 did not connect" in job.error.message
    assert "steelyard-agent run" in job.error.message


async def test_a_local_agent_that_cannot_live_ends_its_job_with_its_log(
    controller: Controller, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    import sys

    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nexit 3\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    monkeypatch.setattr(devices, "_LOCAL_LOOK_S", 0.01)
    job = await ended(controller, await submit(controller, device="local"))
    assert job.state == control_pb2.JOB_STATE_DEVICE_LOST
    assert "agent.log" in job.error.message


async def test_a_local_agent_that_cannot_be_started_is_an_infrastructure_error(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys, "executable", "/nothing/python")
    job = await ended(controller, await submit(controller, device="local"))
    assert job.state == control_pb2.JOB_STATE_AGENT_ERROR
    assert job.error.reason == "local_agent_failed"


async def test_a_local_agent_that_never_says_hello_is_not_waited_for_for_ever(
    controller: Controller, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    import sys

    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec cat\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    monkeypatch.setattr(devices, "_LOCAL_LOOK_S", 0.01)
    monkeypatch.setattr(devices, "_LOCAL_START_TIMEOUT_S", 0.05)
    job = await ended(controller, await submit(controller, device="local"))
    assert job.state == control_pb2.JOB_STATE_DEVICE_LOST
    assert "did not connect in time" in job.error.message


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("invalid_plan", control_pb2.JOB_STATE_USER_ERROR),
        ("disk_full", control_pb2.JOB_STATE_AGENT_ERROR),
        ("blob_mismatch", control_pb2.JOB_STATE_AGENT_ERROR),
    ],
)
async def test_a_job_that_the_device_gives_up_ends_with_its_sentence(
    controller: Controller, agent: ScriptedAgent, reason: str, state: int
) -> None:
    job_id = await submit(controller)
    await agent.accept_job()
    await agent.wait_for("round_grant")
    error = common_pb2.ErrorInfo(reason=reason, message="the disk of pi5 has 3 MB left; free some")
    await agent.say(job_failed=session_pb2.JobFailed(job_id=job_id, attempt=1, error=error))
    job = await ended(controller, job_id)
    assert job.state == state
    assert (job.error.reason, job.error.message) == (reason, error.message)
    # The device is free: the next job runs.
    next_id = await submit(controller)
    await agent.wait_for("job_offer", 2)
    await controller.jobs.cancel(next_id)


async def test_a_lease_that_ran_out_is_taken_anew_in_a_new_segment(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, 0)])
    error = common_pb2.ErrorInfo(reason="lease_expired", message="no word for 45 s")
    await agent.say(job_failed=session_pb2.JobFailed(job_id=job_id, attempt=1, error=error))
    again = await agent.wait_for("job_offer", 2)
    assert again.segment == 1
    await agent.accept_job(epoch=2, count=2)
    grant = await agent.wait_for("round_grant", 2)
    assert (grant.first_round, grant.round_count, grant.epoch) == (1, 2, 2)
    await agent.run_rounds([round_for(job_id, offer.plan, index, segment=1) for index in (1, 2)], epoch=2)
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    assert (await controller.results.measurement(job)).segment_count == 2


async def test_a_device_that_comes_back_with_its_lease_goes_on_in_its_segment(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, 0)])
    await agent.hang_up()
    # What it finished meanwhile is offered at once: the job counts it while it waits.
    await agent.say_hello(lease=session_pb2.Lease(job_id=job_id, attempt=1, epoch=1))
    grant = await agent.wait_for("round_grant")
    assert (grant.first_round, grant.round_count) == (1, 2)
    assert agent.all("job_offer") == []
    assert agent.all("lease_release") == []
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in (1, 2)])
    assert (await ended(controller, job_id)).state == control_pb2.JOB_STATE_RECORDED


async def test_a_device_that_restarted_is_offered_the_job_again(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.hang_up()
    await agent.say_hello()
    assert (await agent.accept_job(epoch=2)).segment == 1
    grant = await agent.wait_for("round_grant")
    assert (grant.first_round, grant.round_count, grant.epoch) == (0, 3, 2)
    await agent.run_rounds([round_for(job_id, offer.plan, index, segment=1) for index in range(3)], epoch=2)
    assert (await ended(controller, job_id)).state == control_pb2.JOB_STATE_RECORDED


async def test_a_device_that_stays_away_is_lost_and_its_rounds_are_kept(
    controller: Controller, agent: ScriptedAgent
) -> None:
    with_grace(controller, 0.05)
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, 0)])
    await agent.hang_up()
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_DEVICE_LOST
    assert "finished rounds are kept" in job.error.message
    assert len(await controller.store.call(Store.list_rounds, job_id)) == 1
    told = await messages(controller, job_id)
    assert any("the device left" in one for one in told)


async def test_models_of_which_none_runs_end_the_job_with_the_first_ones_sentence(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job_id = await submit(controller, 2)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    rounds = [round_for(job_id, offer.plan, index) for index in range(3)]
    for result in rounds:
        del result.blocks[:]
        for planned in offer.plan.artifacts:
            failure = (result_pb2.BLOCK_STATUS_UNSUPPORTED, "no kernel for Frobnicate; export it otherwise")
            result.blocks.append(failed_block(planned.label, failure))
    await agent.run_rounds(rounds)
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_USER_ERROR
    assert job.error.message == "no kernel for Frobnicate; export it otherwise"


async def test_a_cancelled_job_tells_its_device_and_stays_cancelled(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, 0)])
    job = await controller.jobs.cancel(job_id[:8])
    assert job.state == control_pb2.JOB_STATE_CANCELLED
    assert "kept" in job.error.message
    assert (await agent.wait_for("job_cancellation")).job_id == job_id
    assert not controller.jobs.runs(job_id)
    assert (await controller.jobs.cancel(job_id)).state == control_pb2.JOB_STATE_CANCELLED
    # A round that was under way is still recorded, and changes nothing.
    await agent.run_rounds([round_for(job_id, offer.plan, 1)])
    assert (await controller.store.call(Store.get_job, job_id)).state == control_pb2.JOB_STATE_CANCELLED


async def test_a_job_that_is_cancelled_before_its_first_step_is_forgotten(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job = control_pb2.Job(job_id="job-0001", kind=control_pb2.JOB_KIND_MEASUREMENT, device="pi5")
    await controller.store.call(Store.create_job, job, b"", "r-1")
    controller.jobs._start(job, b"")
    controller.jobs._tasks["job-0001"].cancel()
    assert (await ended(controller, "job-0001")).state == control_pb2.JOB_STATE_QUEUED
    assert (await controller.jobs.cancel("job-0001")).state == control_pb2.JOB_STATE_CANCELLED


async def test_a_finished_job_is_not_cancelled_after_the_fact(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    await ended(controller, job_id)
    assert (await controller.jobs.cancel(job_id)).state == control_pb2.JOB_STATE_RECORDED
    with pytest.raises(NotFoundError):
        await controller.jobs.cancel("nobody")


async def test_a_bug_of_ours_ends_its_job_and_not_the_controller(
    controller: Controller, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_job_id: str) -> None:
        raise ZeroDivisionError("division by zero")

    with monkeypatch.context() as patch:
        patch.setattr(controller.jobs._world.results, "rounds", broken)
        job = await ended(controller, await submit(controller))
    assert job.state == control_pb2.JOB_STATE_AGENT_ERROR
    assert "ZeroDivisionError" in job.error.message
    assert any(record.exc_info for record in caplog.records)
    next_id = await submit(controller)
    await agent.wait_for("job_offer")
    await controller.jobs.cancel(next_id)
