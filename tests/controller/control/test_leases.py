"""Fencing, exactly once recording, attempts and priorities of jobs, with an agent by hand."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from steelyard.control import job_lease, retries
from steelyard.control.controller import Controller
from steelyard.control.fencing import Fence, StaleEpochError
from steelyard.control.job_end import JobEnd
from steelyard.settings import Settings
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, session_pb2
from tests.controller.control.planned import ended, messages, round_for, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent


async def say_failed(agent: ScriptedAgent, job_id: str, reason: str, *, attempt: int = 1) -> None:
    error = common_pb2.ErrorInfo(reason=reason, message=f"the device says {reason}")
    await agent.say(job_failed=session_pb2.JobFailed(job_id=job_id, attempt=attempt, error=error))


async def code_of(call: object) -> tuple[grpc.StatusCode, str]:
    try:
        await call  # type: ignore[misc]
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


async def assert_fenced(agent: ScriptedAgent, job_id: str, digest: str) -> None:
    """Everything that is sent or asked for under epoch 1 is refused."""
    agent.epoch = 1
    for call in (agent.upload(b"an old result", job_id), agent.download(digest, job_id)):
        code, details = await code_of(call)
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert "epoch 1 of job" in details


async def test_what_comes_with_an_older_epoch_is_refused_also_after_a_restart(settings: Settings) -> None:
    controller = Controller(settings)
    await controller.start()
    try:
        async with ScriptedAgent(controller.agent_address) as agent:
            await agent.say_hello()
            job_id = await submit(controller)
            await agent.accept_job(epoch=1)
            await agent.wait_for("round_grant")
            await say_failed(agent, job_id, "lease_expired")
            offer = await agent.accept_job(epoch=2, count=2)
            await agent.wait_for("round_grant", 2)
            result = round_for(job_id, offer.plan, 0)
            ready = await agent.prepared(result, epoch=1)
            await assert_fenced(agent, job_id, offer.plan.artifacts[0].artifact_digest)
            await agent.say(round_ready=ready)
            agent.epoch = 2
            await agent.run_rounds([round_for(job_id, offer.plan, 1)], epoch=2)
            kept = await controller.store.call(Store.recorded_keys, job_id)
            assert [key.round_index for key in kept] == [1]
    finally:
        await controller.stop()
    successor = Controller(settings)
    await successor.start()
    try:
        async with ScriptedAgent(successor.agent_address) as agent:
            await agent.say_hello()
            offer = await agent.wait_for("job_offer")
            await assert_fenced(agent, job_id, offer.plan.artifacts[0].artifact_digest)
            # A copy of the device, from before the second lease, takes the job.
            await agent.accept_job(epoch=1)
            job = await ended(successor, job_id)
            assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_AGENT_ERROR, "stale_epoch")
            assert "a second device" in job.error.message
    finally:
        await successor.stop()


async def test_a_newer_epoch_than_was_heard_of_is_let_in(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job(epoch=4)
    await agent.wait_for("round_grant")
    # It granted a lease anew, and its answer is on the way.
    agent.epoch = 5
    digest = offer.plan.artifacts[0].artifact_digest
    assert await agent.download(digest, job_id) == controller.blobs.read_bytes(digest)
    fence = controller.fence
    assert await fence.newest("dev-0001", job_id) == 4
    await fence.require_current("dev-0001", job_id, 5)
    await controller.jobs.cancel(job_id)


async def test_the_fence_keeps_the_newest_of_each_job_and_device(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    await controller.fence.take("dev-0001", job_id, 7)
    await controller.fence.take("dev-0001", job_id, 7)
    with pytest.raises(JobEnd, match="has shown 7"):
        await controller.fence.take("dev-0001", job_id, 6)
    another = Fence(controller.store)
    with pytest.raises(StaleEpochError):
        await another.require_current("dev-0001", job_id, 6)
    await another.require_current("dev-0002", job_id, 1)
    await controller.jobs.cancel(job_id)


async def test_a_result_that_is_sent_twice_is_recorded_once_also_across_a_restart(settings: Settings) -> None:
    controller = Controller(settings)
    await controller.start()
    try:
        async with ScriptedAgent(controller.agent_address) as agent:
            await agent.say_hello()
            job_id = await submit(controller)
            offer = await agent.accept_job()
            await agent.wait_for("round_grant")
            ready = await agent.prepared(round_for(job_id, offer.plan, 0))
            for count in (1, 2):
                await agent.say(round_ready=ready)
                await agent.wait_for("result_acknowledgement", count)
    finally:
        await controller.stop()
    successor = Controller(settings)
    await successor.start()
    try:
        async with ScriptedAgent(successor.agent_address) as agent:
            # Its word was lost: the device says at its hello what it still holds, and sends it once more.
            lease = session_pb2.Lease(job_id=job_id, attempt=1, epoch=1)
            await agent.say_hello(lease=lease, unacknowledged=[ready.key])
            assert list((await agent.wait_for("result_acknowledgement")).keys) == [ready.key]
            await agent.accept_job()
            await agent.say(round_ready=ready)
            await agent.wait_for("result_acknowledgement", 2)
            # Another result of the same round, of an agent that forgot: the first one stays.
            other = round_for(job_id, offer.plan, 0, segment=3)
            await agent.say(round_ready=await agent.prepared(other))
            await agent.wait_for("result_acknowledgement", 3)
            await agent.run_rounds([round_for(job_id, offer.plan, index, segment=1) for index in (1, 2)])
            job = await ended(successor, job_id)
            assert job.state == control_pb2.JOB_STATE_RECORDED
            rounds = await successor.results.rounds(job_id)
            assert [(one.round_index, one.segment) for one in rounds] == [(0, 0), (1, 1), (2, 1)]
    finally:
        await successor.stop()


async def test_what_another_try_may_mend_is_tried_again_and_its_reason_is_kept(
    controller: Controller, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_PAUSE_S", 0.0)
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, 0)])
    await say_failed(agent, job_id, "device_io")
    # Said once more after a break of the link: it is of an attempt that is over.
    await say_failed(agent, job_id, "device_io")
    again = await agent.accept_job(epoch=2, count=2)
    assert (again.attempt, again.segment) == (2, 1)
    grant = await agent.wait_for("round_grant", 2)
    assert (grant.first_round, grant.round_count, grant.attempt) == (1, 2, 2)
    rounds = [round_for(job_id, offer.plan, index, segment=1) for index in (1, 2)]
    for result in rounds:
        result.attempt = 2
    await agent.run_rounds(rounds, epoch=2)
    job = await ended(controller, job_id)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    assert [(one.attempt, one.error.reason) for one in job.failed_attempts] == [(1, "device_io")]
    assert job.attempt == 2
    assert any(
        "attempt 1 of 3 failed: the device says device_io" in line for line in await messages(controller, job_id)
    )
    assert (await controller.results.measurement(job)).round_count == 3


async def test_attempts_are_bounded_and_go_on_counting_after_a_restart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_PAUSE_S", 0.0)
    controller = Controller(settings)
    await controller.start()
    try:
        async with ScriptedAgent(controller.agent_address) as agent:
            await agent.say_hello()
            job_id = await submit(controller)
            await agent.accept_job()
            await agent.wait_for("round_grant")
            await say_failed(agent, job_id, "device_io")
            assert (await agent.wait_for("job_offer", 2)).attempt == 2
    finally:
        await controller.stop()
    successor = Controller(settings)
    await successor.start()
    try:
        async with ScriptedAgent(successor.agent_address) as agent:
            await agent.say_hello()
            for count, attempt in ((1, 2), (2, 3)):
                offer = await agent.accept_job(epoch=attempt, count=count)
                assert offer.attempt == attempt
                await agent.wait_for("round_grant", count)
                await say_failed(agent, job_id, "device_io", attempt=attempt)
            job = await ended(successor, job_id)
    finally:
        await successor.stop()
    assert (job.state, job.error.reason) == (control_pb2.JOB_STATE_AGENT_ERROR, "device_io")
    assert job.error.message == "the device says device_io (attempt 3 of 3)"
    assert [one.attempt for one in job.failed_attempts] == [1, 2]


@pytest.mark.parametrize("reason", ["yielded", "device_policy"])
async def test_a_job_whose_device_lets_it_go_for_a_while_waits_and_goes_on_behind(
    controller: Controller, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(job_lease, "_REFUSED_RETRY_S", 60.0)
    job_id = await submit(controller, priority=common_pb2.JOB_PRIORITY_NIGHTLY)
    offer = await agent.accept_job()
    assert offer.priority == common_pb2.JOB_PRIORITY_NIGHTLY
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, 0)])
    await say_failed(agent, job_id, reason)
    await agent.wait_for("job_offer", 2)
    refusal = session_pb2.LeaseAnswer(job_id=job_id, attempt=1, refused_because="job 77 holds this device")
    await agent.say(lease_answer=refusal)
    # The device is free: it is asked at once, however long the pause would have been.
    await agent.say(lease_answer=session_pb2.LeaseAnswer(job_id=job_id, attempt=1, refused_because="free now"))
    again = await agent.accept_job(epoch=2, count=3)
    assert (again.attempt, again.segment) == (1, 1)
    grant = await agent.wait_for("round_grant", 2)
    assert (grant.first_round, grant.round_count) == (1, 2)
    await agent.run_rounds([round_for(job_id, offer.plan, index, segment=1) for index in (1, 2)], epoch=2)
    job = await ended(controller, job_id)
    assert (job.state, len(job.failed_attempts)) == (control_pb2.JOB_STATE_RECORDED, 0)
    assert f"the device says {reason}" in await messages(controller, job_id)


async def test_a_job_that_gave_way_after_its_last_round_does_not_wait_for_the_device(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, 0)])
    await say_failed(agent, job_id, "yielded")
    await agent.wait_for("job_offer", 2)
    refusal = session_pb2.LeaseAnswer(job_id=job_id, attempt=1, refused_because="job 77 holds this device")
    await agent.say(lease_answer=refusal)
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in (1, 2)])
    assert (await ended(controller, job_id)).state == control_pb2.JOB_STATE_RECORDED
    assert len(agent.all("round_grant")) == 1


async def test_only_rounds_that_are_missing_are_granted(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller, min_round_count=4, max_round_count=4)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in (0, 2)])
    await agent.hang_up()
    await agent.say_hello(lease=session_pb2.Lease(job_id=job_id, attempt=1, epoch=1))
    first = await agent.wait_for("round_grant")
    assert (first.first_round, first.round_count) == (1, 1)
    await agent.run_rounds([round_for(job_id, offer.plan, 1)])
    await agent.say(
        grant_finished=session_pb2.GrantFinished(job_id=job_id, attempt=1, epoch=1, pass_kind=first.pass_kind)
    )
    second = await agent.wait_for("round_grant", 2)
    assert (second.first_round, second.round_count) == (3, 1)
    await agent.run_rounds([round_for(job_id, offer.plan, 3)])
    assert (await ended(controller, job_id)).state == control_pb2.JOB_STATE_RECORDED


async def test_a_request_without_a_priority_is_a_normal_one(controller: Controller, agent: ScriptedAgent) -> None:
    job_id = await submit(controller)
    assert (await agent.wait_for("job_offer")).priority == common_pb2.JOB_PRIORITY_NORMAL
    assert (await controller.store.call(Store.get_job, job_id)).priority == common_pb2.JOB_PRIORITY_NORMAL
    await controller.jobs.cancel(job_id)
