"""Rounds added to a finished measurement: what counts, what is refused, how the error is paid for."""

from __future__ import annotations

import pytest

from steelyard.control.controller import Controller
from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, result_pb2, session_pb2
from tests.controller.control.planned import add_model, ended, request_for, round_for, submit
from tests.controller.fleet.scripted_agent import ScriptedAgent, hello_of


async def measured(controller: Controller, agent: ScriptedAgent, **fields: object) -> str:
    """A finished measurement of two models over three rounds."""
    job_id = await submit(controller, 2, **fields)
    offer = await agent.accept_job()
    await agent.wait_for("round_grant")
    await agent.run_rounds([round_for(job_id, offer.plan, index) for index in range(3)])
    assert (await ended(controller, job_id)).state == control_pb2.JOB_STATE_RECORDED
    return job_id


def extension(job_id: str, **fields: object) -> control_pb2.SubmitMeasurementRequest:
    return control_pb2.SubmitMeasurementRequest(extended_job_id=job_id, device_wait_ms=20_000, **fields)


async def grant_of(agent: ScriptedAgent, job_id: str) -> session_pb2.RoundGrant:
    """The first grant of a job; how many another one had before is its stop rule's affair."""

    def grants() -> list[session_pb2.RoundGrant]:
        return [one for one in agent.all("round_grant") if one.job_id == job_id]

    await agent.until(grants)
    return grants()[0]


async def test_new_rounds_follow_those_that_there_are_in_a_segment_of_their_own(
    controller: Controller, agent: ScriptedAgent
) -> None:
    first = await measured(controller, agent)
    second = (await controller.jobs.submit_measurement(extension(first[:10], max_round_count=6))).job_id
    offer = await agent.accept_job(count=2)
    assert (offer.job_id, offer.segment) == (second, 1)
    grant = await grant_of(agent, second)
    assert (grant.first_round, grant.round_count) == (3, 3)
    await agent.run_rounds([round_for(second, offer.plan, index, segment=1) for index in range(3, 6)])
    job = await ended(controller, second)
    assert job.state == control_pb2.JOB_STATE_RECORDED
    assert job.device == "pi5"
    measurement = await controller.results.measurement(job)
    assert (measurement.round_count, measurement.segment_count) == (6, 2)
    assert measurement.stop_reason.endswith(f"3 of them are those of job {first[:12]}, which this one extends")
    assert [one.round_index for one in measurement.variants[0].rounds] == list(range(6))
    # The first job says what it said before.
    assert (await controller.results.measurement(await controller.store.call(Store.get_job, first))).round_count == 3


async def test_rounds_of_the_whole_chain_are_named_for_whoever_wants_the_samples(
    controller: Controller, agent: ScriptedAgent
) -> None:
    first = await measured(controller, agent)
    second = (await controller.jobs.submit_measurement(extension(first, max_round_count=4))).job_id
    offer = await agent.accept_job(count=2)
    await grant_of(agent, offer.job_id)
    await agent.run_rounds([round_for(second, offer.plan, 3, segment=1)])
    await ended(controller, second)
    keys = [(one.key.job_id, one.key.round_index) for one in await controller.results.references(second)]
    assert keys == [(first, 0), (first, 1), (first, 2), (second, 3)]


async def test_plan_requirements_and_thresholds_are_those_of_the_first(
    controller: Controller, agent: ScriptedAgent
) -> None:
    first = await measured(controller, agent, requirements=["p50<1s"], minimum_effect=0.05)
    job = await controller.jobs.submit_measurement(extension(first))
    kept = control_pb2.SubmitMeasurementRequest.FromString(await controller.store.call(Store.get_request, job.job_id))
    earlier = control_pb2.SubmitMeasurementRequest.FromString(await controller.store.call(Store.get_request, first))
    await controller.jobs.cancel(job.job_id)
    assert kept.plan == earlier.plan
    assert list(kept.requirements) == ["p50<1s"]
    assert kept.minimum_effect == 0.05
    assert (kept.min_round_count, kept.max_round_count) == (6, 43)
    assert kept.extended_job_id == first


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"max_round_count": 3}, "no_more_rounds", "has 3 rounds already"),
        ({"minimum_effect": 0.1}, "other_request", "another minimum effect"),
        ({"requirements": ["p90<1ms"]}, "other_request", "another requirements"),
        ({"device": "pi4"}, "other_device", "rounds on pi4 cannot be added"),
    ],
)
async def test_what_would_be_another_measurement_is_refused(
    controller: Controller, agent: ScriptedAgent, fields: dict[str, object], reason: str, named: str
) -> None:
    first = await measured(controller, agent)
    await controller.store.call(Store.put_device, hello_of("dev-0002", "pi4").device, "0.1", 1)
    with pytest.raises(UsageError) as caught:
        await controller.jobs.submit_measurement(extension(first, **fields))
    assert caught.value.reason == reason
    assert named in str(caught.value)


async def test_another_plan_is_refused(controller: Controller, agent: ScriptedAgent) -> None:
    first = await measured(controller, agent)
    request = request_for([await add_model(controller, "other", seed=9)])
    request.extended_job_id = first
    with pytest.raises(UsageError, match="has another plan"):
        await controller.jobs.submit_measurement(request)


async def test_another_version_of_the_runtime_is_refused(controller: Controller, agent: ScriptedAgent) -> None:
    first = await measured(controller, agent)
    device = hello_of("dev-0001", "pi5").device
    device.runtimes.add(name="onnxruntime", version="1.33.0")
    await controller.store.call(Store.put_device, device, "0.1", 1)
    with pytest.raises(UsageError, match=r"with onnxruntime 1\.32\.0, the device has 1\.33\.0 now: measure anew"):
        await controller.jobs.submit_measurement(extension(first))


async def test_a_job_that_is_not_finished_or_has_no_rounds_is_refused(
    controller: Controller, agent: ScriptedAgent
) -> None:
    running = await submit(controller)
    with pytest.raises(UsageError, match="is not finished"):
        await controller.jobs.submit_measurement(extension(running))
    await controller.jobs.cancel(running)
    with pytest.raises(UsageError, match="has no timed round"):
        await controller.jobs.submit_measurement(extension(running))
    with pytest.raises(NotFoundError):
        await controller.jobs.submit_measurement(extension("feedbeef"))


async def test_a_late_round_of_the_earlier_job_does_not_stand_beside_one_of_the_same_number(
    controller: Controller, agent: ScriptedAgent
) -> None:
    first = await measured(controller, agent)
    second = (await controller.jobs.submit_measurement(extension(first, max_round_count=4))).job_id
    offer = await agent.accept_job(count=2)
    await grant_of(agent, offer.job_id)
    await agent.run_rounds([round_for(second, offer.plan, 3, segment=1)])
    await ended(controller, second)
    late = result_pb2.ResultKey(job_id=first, attempt=1, pass_kind=result_pb2.PASS_LATENCY, round_index=3)
    digest = controller.blobs.put_bytes(round_for(first, offer.plan, 3).SerializeToString())
    await controller.store.call(Store.record_round, late, segment=0, result_digest=digest, recorded_at_ns=1)
    keys = [(one.key.job_id, one.key.round_index) for one in await controller.results.references(second)]
    assert keys[-1] == (second, 3)
    assert len(keys) == 4


async def test_a_second_branch_is_refused_but_an_extension_can_be_extended(
    controller: Controller, agent: ScriptedAgent
) -> None:
    first = await measured(controller, agent)
    vain = await controller.jobs.submit_measurement(extension(first))
    await controller.jobs.cancel(vain.job_id)
    # Nothing was measured by that one, so that nothing was spent.
    second = (await controller.jobs.submit_measurement(extension(first, max_round_count=4))).job_id
    await agent.until(lambda: any(one.job_id == second for one in agent.all("job_offer")))
    offer = await agent.accept_job(count=len(agent.all("job_offer")))
    await agent.until(lambda: any(one.job_id == second for one in agent.all("round_grant")))
    await agent.run_rounds([round_for(second, offer.plan, 3, segment=1)])
    await ended(controller, second)
    with pytest.raises(UsageError, match=f"was extended by job {second[:12]} already: extend that one"):
        await controller.jobs.submit_measurement(extension(first))
    third = await controller.jobs.submit_measurement(extension(second, max_round_count=10))
    assert len(await controller.results.rounds(third.job_id)) == 4
    await controller.jobs.cancel(third.job_id)
