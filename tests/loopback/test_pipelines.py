"""Recipes of several steps through a real controller: kept at each step, gone on with, scored, told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard import Recipe
from steelyard.compress.steps.equalize import Equalize
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.control.client import Client
from steelyard.errors import SteelyardError
from steelyard.family import children_of, parent_of, root_of
from tests.support.models import conv_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "data.npz"
    x = rng.standard_normal((60, 1, 12, 12)).astype(np.float32)
    np.savez(path, x_eval=x[:40], y_eval=rng.integers(0, 10, 40), x_calib=x[40:])
    return path


def add(client: Client, folder: Path, name: str, seed: int):
    return client.add_model(conv_model(folder / f"{name}.onnx", depth=2, seed=seed))


def test_every_step_is_an_artifact_and_a_second_run_begins_behind_them(
    shared_client: Client, tmp_path: Path, data: Path
) -> None:
    model = add(shared_client, tmp_path, "family", 1)
    task = shared_client.add_task(data, model)
    recipe = Recipe([Equalize(), StaticInt8()])
    first = shared_client.compress(model, recipe, task=task)
    first.wait()
    variant = first.variant()
    assert variant.name == "family-equalize+static-int8"
    steps = variant.lineage.steps
    assert [step.reused for step in steps] == [False, False]
    assert all(step.evaluation.metric == "top1" and step.evaluation.sample_count == 40 for step in steps)
    assert variant.lineage.parent_evaluation.sample_count == 40
    between = shared_client.artifact("family-equalize")
    assert between.digest == steps[0].output_digest
    assert parent_of(variant) == between.digest
    assert parent_of(between) == model.digest

    longer = shared_client.compress(model, "equalize+static-int8+bias-correction", task=task)
    longer.wait()
    made = longer.variant().lineage.steps
    assert [step.reused for step in made] == [True, True, False]
    assert [step.output_digest for step in made[:2]] == [step.output_digest for step in steps]

    artifacts = {one.digest: one for one in shared_client.artifacts()}
    assert root_of(longer.variant().digest, artifacts) == model.digest
    assert between.digest in children_of(artifacts.values())[model.digest]


def test_without_the_cache_the_same_bytes_come_out(shared_client: Client, tmp_path: Path, data: Path) -> None:
    model = add(shared_client, tmp_path, "same", 2)
    task = shared_client.add_task(data, model)
    digests = []
    for use_cache in (True, False):
        handle = shared_client.compress(model, "static-int8", task=task, use_cache=use_cache, evaluate=False)
        handle.wait()
        (step,) = handle.variant().lineage.steps
        assert not step.notes or "other bytes" not in " ".join(step.notes)
        digests.append(handle.variant().digest)
    assert digests[0] == digests[1]


def test_a_recipe_that_fails_in_the_middle_keeps_what_was_done(
    shared_client: Client, tmp_path: Path, data: Path
) -> None:
    model = add(shared_client, tmp_path, "halfway", 3)
    # Without calibration data the recipe is refused before its first step; nothing is kept then.
    with pytest.raises(SteelyardError, match="calibration"):
        shared_client.compress(model, "equalize+static-int8").wait()
    assert not [one for one in shared_client.artifacts() if one.name.startswith("halfway-")]
    assert shared_client.artifact("halfway").digest == model.digest
