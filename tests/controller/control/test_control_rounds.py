"""Rounds of a real controller: whose they may be, and that the next controller goes on with them."""

from __future__ import annotations

import asyncio

import pytest

from steelyard.control.controller import Controller
from steelyard.settings import Settings
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, result_pb2, session_pb2
from tests.controller.control.planned import add_model, ended, messages, round_for, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent, digest_of

LATENCY = result_pb2.PASS_LATENCY


# -- who may bring and have what ------------------------------------------------------------------------------------


async def test_another_device_can_neither_fetch_nor_bring_for_a_job(
    controller: Controller, agent: ScriptedAgent
) -> None:
    import grpc

    job_id = await submit(controller)
    offer = await agent.accept_job()
    digest = offer.plan.artifacts[0].artifact_digest
    assert digest_of(await agent.download(digest, job_id)) == digest
    async with ScriptedAgent(controller.agent_address, device_id="dev-0002", name="pi4") as other:
        await other.say_hello()
        with pytest.raises(grpc.aio.AioRpcError, match="not named by job"):
            await other.download(digest, job_id)
        with pytest.raises(grpc.aio.AioRpcError, match="another device"):
            await other.upload(b"anything", job_id)
        with pytest.raises(grpc.aio.AioRpcError, match="no job"):
            await other.upload(b"anything", "job-of-nobody")
        ready = await agent.prepared(round_for(job_id, offer.plan, 0))
        await other.say(round_ready=ready)
        beat = await other.say(heartbeat=session_pb2.Heartbeat())
        await other.until(lambda: any(one.message_id == beat for one in other.all("acknowledgement")))
        assert other.all("result_acknowledgement") == []
    assert await controller.store.call(Store.list_rounds, job_id) == []
    await controller.jobs.cancel(job_id)


async def test_a_round_that_is_not_what_it_says_is_not_acknowledged(
    controller: Controller, agent: ScriptedAgent
) -> None:
    job_id = await submit(controller)
    offer = await agent.accept_job()
    ready = await agent.prepared(round_for(job_id, offer.plan, 0))
    wrong_key = session_pb2.RoundReady()
    wrong_key.CopyFrom(ready)
    wrong_key.key.round_index = 1
    garbage = session_pb2.RoundReady()
    garbage.CopyFrom(ready)
    await agent.upload(b"\xff\xff\xff", job_id)
    garbage.result_digest = digest_of(b"\xff\xff\xff")
    missing = session_pb2.RoundReady()
    missing.CopyFrom(ready)
    missing.result_digest = "ab" * 32
    no_outputs = round_for(job_id, offer.plan, 0, outputs=b"never sent")
    timeless = round_for(job_id, offer.plan, 0)
    timeless.started_at.seconds = 2**63 - 1
    for bad in (wrong_key, garbage, missing, await agent.prepared(no_outputs), await agent.prepared(timeless)):
        await agent.say(round_ready=bad)
    last = await agent.say(heartbeat=session_pb2.Heartbeat())
    await agent.until(lambda: any(one.message_id == last for one in agent.all("acknowledgement")))
    assert agent.all("result_acknowledgement") == []
    assert await controller.store.call(Store.list_rounds, job_id) == []
    await agent.say(round_ready=ready)
    await agent.wait_for("result_acknowledgement")
    await controller.jobs.cancel(job_id)


# -- the next controller --------------------------------------------------------------------------------------------


async def test_the_next_controller_goes_on_where_the_last_one_stopped(settings: Settings) -> None:
    first = Controller(settings)
    await first.start()
    async with ScriptedAgent(first.agent_address) as agent:
        await agent.say_hello()
        job_id = await submit(first)
        offer = await agent.accept_job()
        await agent.wait_for("round_grant")
        await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(2)])
        last = round_for(job_id, offer.plan, 2, segment=1)
        await first.stop()
        assert "ends" in (await agent.wait_for("goodbye")).reason
    second = Controller(settings)
    await second.start()
    try:
        assert second.controller_id == first.controller_id
        assert second.jobs.runs(job_id)
        # A device that kept its lease goes on fetching before its job has looked for it.
        assert second.jobs.blobs_of(job_id, "dev-0001") == {one.artifact_digest for one in offer.plan.artifacts}
        assert not second.jobs.blobs_of(job_id, "dev-0002")
        async with ScriptedAgent(second.agent_address) as agent:
            held = [result_pb2.ResultKey(job_id=job_id, attempt=1, pass_kind=LATENCY, round_index=1)]
            await agent.say_hello(unacknowledged=held)
            assert list((await agent.wait_for("result_acknowledgement")).keys) == held
            assert (await agent.accept_job(epoch=5)).segment == 1
            grant = await agent.wait_for("round_grant")
            assert (grant.first_round, grant.round_count, grant.epoch) == (2, 1, 5)
            await agent.run_rounds([last], epoch=5)
            job = await ended(second, job_id)
            assert job.state == control_pb2.JOB_STATE_RECORDED
            measurement = await second.results.measurement(job)
            assert (measurement.round_count, measurement.segment_count) == (3, 2)
            assert "resumed by a new controller" in await messages(second, job_id)
    finally:
        await second.stop()


async def test_a_compression_that_was_interrupted_is_made_by_the_next_controller(settings: Settings) -> None:
    first = Controller(settings)
    await first.start()
    model = await add_model(first)
    recipe = 'name = "float16"\n[[steps]]\nkind = "float16"\n'
    request = control_pb2.SubmitCompressionRequest(artifact_digest=model.digest, recipe_toml=recipe)
    job_id = (await first.jobs.submit_compression(request)).job_id
    await first.stop()
    second = Controller(settings)
    await second.start()
    try:
        job = await ended(second, job_id)
        assert job.state == control_pb2.JOB_STATE_RECORDED
        variant = await second.store.call(Store.find_artifact, job.variant_digest)
        assert variant.name == "linear-float16"
        assert variant.lineage.parent_digest == model.digest
    finally:
        await second.stop()


async def test_a_temporary_controller_leaves_other_peoples_jobs_alone(settings: Settings) -> None:
    first = Controller(settings)
    await first.start()
    async with ScriptedAgent(first.agent_address) as agent:
        await agent.say_hello()
        job_id = await submit(first)
        await agent.wait_for("job_offer")
        await first.stop()
    second = Controller(settings, temporary=True)
    await second.start()
    assert not second.jobs.runs(job_id)
    async with ScriptedAgent(second.agent_address) as agent:
        await agent.say_hello(lease=session_pb2.Lease(job_id=job_id, attempt=1, epoch=1))
        assert (await agent.wait_for("lease_release")).job_id == job_id
    await second.stop()


async def test_waiting_for_a_controller_ends_when_it_does(controller: Controller) -> None:
    waiting = asyncio.create_task(controller.wait())
    await controller.stop()
    await asyncio.wait_for(waiting, 60)
