"""Compressions of a controller whose disk fills up, and of one whose tools change."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from steelyard.compress import step_key
from steelyard.control.controller import Controller
from steelyard.errors import NotFoundError
from steelyard.store.errors import StoreError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2
from tests.controller.control.planned import add_model, ended

PLENTY = 1 << 50
RECIPE = 'name = "both"\n[[steps]]\nkind = "sparsify"\n[[steps]]\nkind = "float16"\n'


async def compress(controller: Controller, model: control_pb2.Artifact, **fields: object) -> control_pb2.Job:
    request = control_pb2.SubmitCompressionRequest(artifact_digest=model.digest, recipe_toml=RECIPE, **fields)
    return await ended(controller, (await controller.jobs.submit_compression(request)).job_id)


async def lineage_of(controller: Controller, job: control_pb2.Job) -> control_pb2.Lineage:
    return (await controller.store.call(Store.find_artifact, job.variant_digest)).lineage


async def test_a_disk_that_is_full_after_the_first_step_keeps_it_and_nothing_half_written(
    controller: Controller,
) -> None:
    model = await add_model(controller)
    before = controller.blobs.read_bytes(model.digest)
    free = iter([PLENTY])
    controller.blobs._free_bytes = lambda _folder: next(free, 0)
    job = await compress(controller, model)
    assert job.state == control_pb2.JOB_STATE_AGENT_ERROR
    assert job.error.reason == "disk_full"
    kept = await controller.store.call(Store.find_artifact, "linear-sparsify")
    assert controller.blobs.read_bytes(kept.digest)
    with pytest.raises(NotFoundError):
        await controller.store.call(Store.find_artifact, "linear-both")
    assert list((Path(controller.state_directory) / "work").iterdir()) == []
    controller.blobs._free_bytes = lambda _folder: PLENTY
    lineage = await lineage_of(controller, await compress(controller, model))
    assert [step.reused for step in lineage.steps] == [True, False]
    assert controller.blobs.read_bytes(model.digest) == before


async def test_progress_that_cannot_be_noted_is_no_end_and_no_traceback(
    controller: Controller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    noting, refused = Store.transition, []

    def full(store: Store, job_id: str, state: control_pb2.JobState, **told: object) -> control_pb2.Job:
        if "step 1 of 2" in str(told.get("message", "")):
            refused.append(told)
            raise StoreError("database_full", "the database is full")
        return noting(store, job_id, state, **told)

    monkeypatch.setattr(Store, "transition", full)
    job = await compress(controller, await add_model(controller))
    gc.collect()
    assert refused
    assert job.state == control_pb2.JOB_STATE_RECORDED
    assert "never retrieved" not in caplog.text


async def test_another_tool_runs_the_steps_again_and_the_same_bytes_need_no_reason(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await add_model(controller)
    await compress(controller, model)
    monkeypatch.setattr(step_key, "tools_here", lambda: ("steelyard 9", "onnx 99"))
    lineage = await lineage_of(controller, await compress(controller, model))
    assert [step.reused for step in lineage.steps] == [False, False]
    assert not any("other bytes" in note for step in lineage.steps for note in step.notes)


async def test_other_bytes_than_before_come_with_the_reason(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await add_model(controller)
    await compress(controller, model)
    monkeypatch.setattr(step_key, "tools_here", lambda: ("steelyard 9", "onnx 99"))
    # What the first run is remembered by is changed: as if it had given other bytes under the tools of that day.
    await controller.store.call(remember_other_bytes)
    lineage = await lineage_of(controller, await compress(controller, model, without_cache=True))
    (note,) = [note for note in lineage.steps[0].notes if "other bytes" in note]
    assert "now onnx 99, steelyard 9" in note


def remember_other_bytes(store: Store) -> None:
    other = control_pb2.LineageStep(kind="sparsify", output_digest="e" * 64).SerializeToString()
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE finished_steps SET message = ?", (other,))
