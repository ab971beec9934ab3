"""Recipes that train, as jobs of a controller: refused without samples, cancelled, gone on with, kept with lineage."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from steelyard.control.controller import Controller
from steelyard.control.uploads import prepared_task
from steelyard.errors import UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2
from tests.controller.control.planned import add_model

pytest.importorskip("torch", reason="steps that train need PyTorch: pip install 'steelyard[train]'")

RECIPE = 'name = "tuned"\n[[steps]]\nkind = "fine-tune"\nepochs = 12\nbatch_size = 32\nlearning_rate = 0.05\n'
# PyTorch alone takes seconds to import on a machine with other work.
WAIT_S = 120.0


async def add_rows(controller: Controller, model: control_pb2.Artifact, folder: Path) -> control_pb2.Task:
    """Add a task of rows whose class is that of the largest of three sums."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((4, 3))
    rows = rng.standard_normal((1200, 4)).astype(np.float32)
    classes = (rows @ mixing).argmax(axis=1)
    np.savez(folder / "rows.npz", x=rows[:200], y=classes[:200], x_train=rows[200:], y_train=classes[200:])
    task, blobs = prepared_task(folder / "rows.npz", model)
    for content in blobs:
        controller.blobs.put_bytes(content)
    return await controller.models.create_task(task)


def request(model: control_pb2.Artifact, task: control_pb2.Task | None) -> control_pb2.SubmitCompressionRequest:
    return control_pb2.SubmitCompressionRequest(
        artifact_digest=model.digest,
        recipe_toml=RECIPE,
        task_id="" if task is None else task.task_id,
        evaluate_steps=True,
    )


async def finished(controller: Controller, job_id: str) -> control_pb2.Job:
    """Wait until a job is done and return it."""
    async with asyncio.timeout(WAIT_S):
        while controller.jobs.runs(job_id):
            await asyncio.sleep(0.02)
    return await controller.store.call(Store.get_job, job_id)


async def test_a_training_that_was_cancelled_goes_on_where_it_was(controller: Controller, tmp_path: Path) -> None:
    model = await add_model(controller)
    task = await add_rows(controller, model, tmp_path)
    kept = Path(controller.state_directory) / "checkpoints"
    job_id = (await controller.jobs.submit_compression(request(model, task))).job_id
    async with asyncio.timeout(WAIT_S):
        while not list(kept.glob("*/last.pt")):
            await asyncio.sleep(0.02)
    await controller.jobs.cancel(job_id)
    assert (await finished(controller, job_id)).state == control_pb2.JOB_STATE_CANCELLED
    job = await finished(controller, (await controller.jobs.submit_compression(request(model, task))).job_id)
    assert job.state == control_pb2.JOB_STATE_RECORDED, job.error.message
    lineage = (await controller.store.call(Store.find_artifact, job.variant_digest)).lineage
    assert (lineage.training_digest, lineage.training_sample_count) == (task.training_digest, 1000)
    (step,) = lineage.steps
    assert step.evaluation.value > 0.9 > lineage.parent_evaluation.value
    # What it kept on its way is behind it.
    assert list(kept.iterdir()) == []


async def test_a_recipe_that_learns_is_refused_for_a_task_without_samples_to_learn_from(controller: Controller) -> None:
    model = await add_model(controller)
    with pytest.raises(UsageError, match="learns from samples and no task was named") as caught:
        await controller.jobs.submit_compression(request(model, None))
    assert caught.value.reason == "no_training_data"
