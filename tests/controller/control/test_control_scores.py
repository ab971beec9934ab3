"""Tasks with metrics of every kind in a plan: what the device is asked for, and what is refused before it runs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from steelyard.control.controller import Controller
from steelyard.errors import UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, plan_pb2
from tests.controller.control.planned import SAMPLE_COUNT, add_model, npz, request_for
from tests.controller.fleet.scripted_agent import ScriptedAgent


async def add_task(
    controller: Controller, kind: str, *, sample_count: int = SAMPLE_COUNT, **settings: object
) -> control_pb2.Task:
    task = control_pb2.Task(
        name="planted",
        metric=kind,
        metric_settings_json=json.dumps(settings),
        evaluation_digest=controller.blobs.put_bytes(npz(x=np.zeros((4, 4), np.float32))),
        evaluation_sample_count=sample_count,
    )
    return await controller.models.create_task(task)


async def planned(controller: Controller, task: control_pb2.Task, *requirements: str) -> plan_pb2.Plan:
    models = [await add_model(controller), await add_model(controller, "other", seed=1)]
    job = await controller.jobs.submit_measurement(request_for(models, task=task, requirements=requirements))
    kept = await controller.store.call(Store.get_request, job.job_id)
    await controller.jobs.cancel(job.job_id)
    return control_pb2.SubmitMeasurementRequest.FromString(kept).plan


@pytest.mark.parametrize(
    ("kind", "asked", "reducer", "top_count"),
    [
        ("top1", {}, plan_pb2.REDUCER_ARGMAX, 0),
        ("top5", {}, plan_pb2.REDUCER_TOP_K, 5),
        ("topk", {"k": 3}, plan_pb2.REDUCER_TOP_K, 3),
        ("rmse", {}, plan_pb2.REDUCER_FULL, 0),
        ("sqnr", {}, plan_pb2.REDUCER_FULL, 0),
    ],
)
async def test_the_device_is_asked_for_what_the_metric_reads(
    controller: Controller, agent: ScriptedAgent, kind: str, asked: dict, reducer: int, top_count: int
) -> None:
    plan = await planned(controller, await add_task(controller, kind, **asked))
    assert plan.evaluation.reducer == reducer
    assert plan.evaluation.top_count == top_count
    assert plan.evaluation.output_quota_bytes > 0


async def test_whole_outputs_over_the_quota_are_refused_with_how_many_samples_fit(
    controller: Controller, agent: ScriptedAgent
) -> None:
    # Three float32 logits a sample: 12 bytes.
    task = await add_task(controller, "rmse", sample_count=30_000_000)
    with pytest.raises(UsageError, match="evaluate 22369621 samples or fewer") as caught:
        await planned(controller, task)
    assert caught.value.reason == "outputs_too_large"
    reduced = await add_task(controller, "top1", sample_count=30_000_000)
    assert (await planned(controller, reduced)).evaluation.reducer == plan_pb2.REDUCER_ARGMAX


@pytest.mark.parametrize(
    ("kind", "requirement", "reason", "named"),
    [
        ("top1", "rmse<0.2", "requirement_needs_metric", "'planted' measures top1"),
        ("rmse", "accuracy>0.9", "requirement_needs_metric", "require 'rmse<VALUE'"),
        ("rmse", "drop<1pp", "invalid_requirement", "drop has no unit here"),
        ("sqnr", "drop<1dB", "requirement_needs_metric", "held against the first model's outputs already"),
        ("sqnr", "sqnr>30pp", "invalid_requirement", "'pp' is no unit of sqnr"),
    ],
)
async def test_a_requirement_that_the_task_cannot_decide_is_refused(
    controller: Controller, agent: ScriptedAgent, kind: str, requirement: str, reason: str, named: str
) -> None:
    task = await add_task(controller, kind)
    with pytest.raises(UsageError, match=named) as caught:
        await planned(controller, task, requirement)
    assert caught.value.reason == reason


async def test_a_metric_s_own_requirement_needs_a_task(controller: Controller, agent: ScriptedAgent) -> None:
    with pytest.raises(UsageError, match="--task") as caught:
        await controller.jobs.submit_measurement(request_for([await add_model(controller)], requirements=["sqnr>30dB"]))
    assert caught.value.reason == "requirement_needs_task"


@pytest.mark.parametrize(("kind", "requirement"), [("rmse", "rmse<0.2"), ("sqnr", "sqnr>30dB"), ("cosine", "drop<1pp")])
async def test_a_requirement_on_the_task_s_metric_is_taken(
    controller: Controller, agent: ScriptedAgent, kind: str, requirement: str
) -> None:
    plan = await planned(controller, await add_task(controller, kind), requirement)
    assert plan.HasField("evaluation")


@pytest.mark.parametrize(
    ("kind", "asked", "named"), [("rsme", {}, "'rmse'"), ("topk", {"k": 0}, "k is 0"), ("rmse", {"key": 1}, "'key'")]
)
async def test_a_task_whose_metric_is_not_known_is_not_registered(
    controller: Controller, kind: str, asked: dict, named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        await add_task(controller, kind, **asked)
