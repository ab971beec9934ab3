"""What the controller refuses to take in, each with what to change, and what it fills in."""

from __future__ import annotations

import pytest

from steelyard.control.controller import Controller
from steelyard.control.intake import DEFAULT_BUDGET_MS, DEFAULT_MAX_ROUND_COUNT, DEFAULT_MIN_ROUND_COUNT, plan_digests
from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, plan_pb2
from tests.controller.control.planned import SAMPLE_COUNT, add_model, add_task, request_for
from tests.controller.fleet.scripted_agent import ScriptedAgent


async def stored(
    controller: Controller, request: control_pb2.SubmitMeasurementRequest
) -> tuple[control_pb2.Job, control_pb2.SubmitMeasurementRequest]:
    """Submit a request and return the job with the request as it was kept."""
    job = await controller.jobs.submit_measurement(request)
    kept = await controller.store.call(Store.get_request, job.job_id)
    await controller.jobs.cancel(job.job_id)
    return job, control_pb2.SubmitMeasurementRequest.FromString(kept)


async def test_what_was_left_open_is_filled_in(controller: Controller, agent: ScriptedAgent) -> None:
    model = await add_model(controller)
    request = request_for([model], min_round_count=0, max_round_count=0)
    request.plan.artifacts[0].artifact_digest = "linear"
    request.plan.artifacts[0].size_bytes = 1
    job, kept = await stored(controller, request)
    assert kept.budget_ms == DEFAULT_BUDGET_MS
    assert (kept.min_round_count, kept.max_round_count) == (DEFAULT_MIN_ROUND_COUNT, DEFAULT_MAX_ROUND_COUNT)
    assert kept.plan.artifacts[0].artifact_digest == model.digest
    assert kept.plan.artifacts[0].size_bytes == model.size_bytes
    assert (kept.minimum_effect, kept.equivalence_margin, kept.target_half_width) == (0.02, 0.03, 0.02)
    assert kept.plan.energy.window_ms > 0
    assert not kept.plan.HasField("evaluation")
    assert job.estimated_ms > 0


@pytest.mark.parametrize(
    ("asked", "kept"), [((0, 4), (4, 4)), ((50, 0), (50, 50)), ((0, 100), (6, 100)), ((7, 9), (7, 9))]
)
async def test_the_other_bound_follows_the_one_that_was_said(
    controller: Controller, agent: ScriptedAgent, asked: tuple[int, int], kept: tuple[int, int]
) -> None:
    request = request_for([await add_model(controller)], min_round_count=asked[0], max_round_count=asked[1])
    _, found = await stored(controller, request)
    assert (found.min_round_count, found.max_round_count) == kept


async def test_a_task_brings_its_data_into_the_plan(controller: Controller, agent: ScriptedAgent) -> None:
    task = await add_task(controller)
    _, kept = await stored(controller, request_for([await add_model(controller)], task=task))
    assert kept.plan.evaluation.data_digest == task.evaluation_digest
    assert kept.plan.evaluation.data_size_bytes == task.evaluation_size_bytes > 0
    assert kept.plan.evaluation.reducer == plan_pb2.REDUCER_ARGMAX
    assert kept.plan.inputs.data_digest == task.evaluation_digest
    assert plan_digests(kept.plan) == {kept.plan.artifacts[0].artifact_digest, task.evaluation_digest}
    # Labels never travel.
    assert task.labels_digest not in plan_digests(kept.plan)
    assert task.evaluation_sample_count == SAMPLE_COUNT


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"min_round_count": 2}, "too_few_rounds", "--min-rounds 2"),
        ({"max_round_count": 1}, "too_few_rounds", "--max-rounds 1"),
        ({"min_round_count": 9, "max_round_count": 5}, "bad_rounds", "9"),
        ({"budget_ms": -5}, "bad_budget", "-5"),
        ({"requirements": ["p90 under 5"]}, "invalid_requirement", "p90 under 5"),
        ({"requirements": ["memroy<5MB"]}, "invalid_requirement", "'memory'"),
        ({"requirements": ["accuracy>90%"]}, "requirement_needs_task", "--task"),
        ({"requirements": ["drop<1pp"]}, "requirement_needs_task", "--task"),
        ({"requirements": ["speedup>2x"]}, "requirement_needs_reference", "original first"),
        ({"requirements": ["response_p90<5ms"]}, "requirement_needs_mode", "require p90 instead"),
        ({"requirements": ["per_step<5ms"]}, "requirement_needs_mode", "this one is single stream"),
        ({"minimum_effect": 1.5}, "bad_thresholds", "1.5"),
        ({"minimum_effect": 0.05, "equivalence_margin": 0.01}, "bad_thresholds", "--margin"),
        ({"target_half_width": -0.1}, "bad_half_width", "-10 %"),
        ({"device": "pi6"}, "device_not_found", "'pi5'"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(
    controller: Controller, agent: ScriptedAgent, fields: dict[str, object], reason: str, named: str
) -> None:
    with pytest.raises(UsageError) as caught:
        await controller.jobs.submit_measurement(request_for([await add_model(controller)], **fields))
    assert caught.value.reason == reason
    assert named in str(caught.value)
    assert await controller.store.call(Store.unfinished_jobs) == []


async def test_a_drop_needs_a_second_model_even_with_a_task(controller: Controller, agent: ScriptedAgent) -> None:
    task = await add_task(controller)
    request = request_for([await add_model(controller)], task=task, requirements=["drop<1pp"])
    with pytest.raises(UsageError, match="only one"):
        await controller.jobs.submit_measurement(request)


async def test_a_plan_of_no_model_or_of_too_many_is_refused(controller: Controller, agent: ScriptedAgent) -> None:
    empty = control_pb2.SubmitMeasurementRequest(device="pi5")
    with pytest.raises(UsageError, match="0 models"):
        await controller.jobs.submit_measurement(empty)
    request = request_for([await add_model(controller)])
    request.plan.artifacts.extend([request.plan.artifacts[0]] * 64)
    with pytest.raises(UsageError, match="65 models"):
        await controller.jobs.submit_measurement(request)


async def test_labels_that_repeat_are_refused(controller: Controller, agent: ScriptedAgent) -> None:
    request = request_for([await add_model(controller)])
    request.plan.artifacts.add().CopyFrom(request.plan.artifacts[0])
    with pytest.raises(UsageError, match="not unique"):
        await controller.jobs.submit_measurement(request)


async def test_names_that_nobody_knows_are_not_found(controller: Controller, agent: ScriptedAgent) -> None:
    model = await add_model(controller)
    request = request_for([model])
    request.plan.artifacts[0].artifact_digest = "linaer"
    with pytest.raises(NotFoundError, match="'linear'"):
        await controller.jobs.submit_measurement(request)
    with pytest.raises(NotFoundError):
        await controller.jobs.submit_measurement(request_for([model], task=control_pb2.Task(task_id="nothing")))


async def test_the_same_request_twice_is_one_job(controller: Controller, agent: ScriptedAgent) -> None:
    model = await add_model(controller)
    first = await controller.jobs.submit_measurement(request_for([model], request_id="r-1"))
    second = await controller.jobs.submit_measurement(request_for([model], request_id="r-1"))
    assert first.job_id == second.job_id
    await controller.jobs.cancel(first.job_id)


STATIC = 'name = "static-int8"\n[[steps]]\nkind = "static-int8"\n'


async def test_a_recipe_that_needs_calibration_is_refused_without_it(controller: Controller) -> None:
    model = await add_model(controller)
    request = control_pb2.SubmitCompressionRequest(artifact_digest=model.digest, recipe_toml=STATIC)
    with pytest.raises(UsageError, match="no task was named"):
        await controller.jobs.submit_compression(request)
    request.task_id = (await add_task(controller)).task_id
    with pytest.raises(UsageError, match="'digits' has none"):
        await controller.jobs.submit_compression(request)


async def test_a_compression_for_a_device_that_nobody_knows_is_refused(controller: Controller) -> None:
    model = await add_model(controller)
    request = control_pb2.SubmitCompressionRequest(
        artifact_digest=model.digest, recipe_toml='name = "f"\n[[steps]]\nkind = "float16"\n', device="pi9"
    )
    with pytest.raises(NotFoundError, match="pi9"):
        await controller.jobs.submit_compression(request)


async def test_blobs_that_were_not_uploaded_are_named(controller: Controller) -> None:
    with pytest.raises(UsageError, match="upload it before"):
        await controller.models.create_artifact("ab" * 32, "model")
    task = control_pb2.Task(name="digits", evaluation_digest="cd" * 32, evaluation_sample_count=3)
    with pytest.raises(UsageError, match="cdcdcdcdcdcd"):
        await controller.models.create_task(task)


async def test_a_task_without_samples_is_refused(controller: Controller) -> None:
    digest = controller.blobs.put_bytes(b"inputs")
    with pytest.raises(UsageError, match="at least one"):
        await controller.models.create_task(control_pb2.Task(name="digits", evaluation_digest=digest))


async def test_a_task_is_named_by_its_content(controller: Controller) -> None:
    assert (await add_task(controller)).task_id == (await add_task(controller)).task_id
    assert (await add_task(controller)).task_id != (await add_task(controller, calibration=True)).task_id
