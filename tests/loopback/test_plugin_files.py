"""Plugin files and a controller: it reads them for the compression that names them, and a changed one runs again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.compress.errors import RecipeError
from steelyard.control.client import Client
from steelyard.errors import SteelyardError
from steelyard.plugins.files import forget_file, plugin_files, use_file
from steelyard_protocol.v1 import control_pb2
from tests.controller.plugins.files import COPY_STEP, SHARE_METRIC, write_plugin
from tests.support.models import conv_model

STEPS = '{"steps": [Copy]}'


def compressed(client: Client, model: control_pb2.Artifact, path: Path):
    """Submit with the file in use here, and leave the rest to what the request names."""
    used = use_file(path)
    try:
        handle = client.compress(model, "copy-model+float16")
    finally:
        forget_file(used)
    handle.wait()
    return handle.variant(), used


def test_a_controller_reads_the_file_of_a_request_and_runs_a_changed_one_again(
    shared_client: Client, tmp_path: Path
) -> None:
    model = shared_client.add_model(conv_model(tmp_path / "copied.onnx", seed=5))
    path = write_plugin(tmp_path / "copy.py", COPY_STEP, listed=STEPS)
    first, used = compressed(shared_client, model, path)
    assert [step.plugin for step in first.lineage.steps] == [used.origin.text, ""]
    again, _ = compressed(shared_client, model, path)
    assert [step.reused for step in again.lineage.steps] == [True, True]
    write_plugin(path, COPY_STEP, "# changed\n", listed=STEPS)
    changed, other = compressed(shared_client, model, path)
    # A recipe begins again at the first step that is missing.
    assert [step.reused for step in changed.lineage.steps] == [False, False]
    assert changed.lineage.steps[0].plugin == other.origin.text != used.origin.text
    with pytest.raises(RecipeError, match="no recipe 'copy-model'"):
        shared_client.compress(model, "copy-model")


def test_steps_are_scored_by_a_metric_of_a_file(shared_client: Client, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((20, 1, 12, 12)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=images, y=rng.integers(0, 10, 20))
    task_file = tmp_path / "task.toml"
    task_file.write_text(
        'name = "own metric"\ndata = "data.npz"\n[evaluation]\ninputs = "x"\nlabels = "y"\n[metric]\n'
        'kind = "right-share"\n'
    )
    model = shared_client.add_model(conv_model(tmp_path / "scored.onnx", seed=6))
    path = write_plugin(tmp_path / "both.py", COPY_STEP, SHARE_METRIC, listed='{"steps": [Copy], "metrics": [Share]}')
    # Scores are computed for as long as a measurement is looked at: the controller itself must know the metric.
    with plugin_files([path]), pytest.raises(SteelyardError, match="also where the controller is started"):
        shared_client.add_task(task_file, model)
    used = use_file(path)
    try:
        task = shared_client.add_task(task_file, model)
        handle = shared_client.compress(model, "copy-model", task=task)
        handle.wait()
    finally:
        forget_file(used)
    assert "both.py 1.2" in task.source_json
    variant = handle.variant()
    (step,) = variant.lineage.steps
    assert (step.evaluation.metric, step.evaluation.sample_count) == ("right-share", 20)
    assert step.evaluation.value == variant.lineage.parent_evaluation.value


def test_a_file_that_is_gone_for_the_controller_is_named(shared_client: Client, tmp_path: Path) -> None:
    model = shared_client.add_model(conv_model(tmp_path / "gone.onnx", seed=7))
    path = write_plugin(tmp_path / "gone.py", COPY_STEP, listed=STEPS)
    used = use_file(path)
    path.unlink()
    try:
        with pytest.raises(SteelyardError, match=r"no plugin file .*gone\.py") as caught:
            shared_client.compress(model, "copy-model")
    finally:
        forget_file(used)
    assert caught.value.reason == "plugin_not_found"


def test_a_step_that_fails_in_the_compression_process_names_its_plugin(shared_client: Client, tmp_path: Path) -> None:
    model = shared_client.add_model(conv_model(tmp_path / "failing.onnx", seed=8))
    failing = COPY_STEP.replace("out_path.write_bytes(model_path.read_bytes())", "raise KeyError('depth')")
    path = write_plugin(tmp_path / "failing.py", failing, listed=STEPS)
    with pytest.raises(SteelyardError, match=r"step 'copy-model' of plugin failing\.py \(.*\) failed \(KeyError"):
        compressed(shared_client, model, path)
