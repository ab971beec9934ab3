"""Recipes of several steps through a real controller: kept at each step, gone on with, scored, told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from steelyard import Recipe
from steelyard.cli.models import known_model
from steelyard.compress.steps.equalize import Equalize
from steelyard.compress.steps.static_int8 import StaticInt8
from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.job_handle import JobHandle
from steelyard.errors import SteelyardError
from steelyard.family import children_of, parent_of, root_of
from steelyard.settings import Settings
from steelyard_protocol.v1 import control_pb2
from tests.support.models import conv_model
from tests.support.processes import children_running, wait_until


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


def test_a_job_tells_its_own_steps_also_where_another_recipe_made_the_variant(
    shared_client: Client, tmp_path: Path, data: Path
) -> None:
    model = add(shared_client, tmp_path, "told", 40)
    task = shared_client.add_task(data, model)
    first = shared_client.compress(model, "static-int8,per_channel=true", task=task, evaluate=False)
    first.wait()
    second = shared_client.sensitivity(model, task=task, sample_count=4, scored=1)
    second.wait()
    assert second.variant().digest == first.variant().digest
    assert [step.kind for step in shared_client.job(second.job_id).steps] == ["static-int8", "sensitivity"]
    report = second.sensitivity()
    assert report.sample_count == 4
    assert report.layers[0].metric_drop is not None
    with pytest.raises(SteelyardError, match="did not measure sensitivity"):
        first.sensitivity()
    # Not in lists, whose pages would outgrow a message.
    assert not any(job.steps for job in shared_client.jobs())

    other = shared_client.sensitivity(model, task=task, sample_count=8, scored=0)
    other.wait()
    assert other.sensitivity().sample_count == 8
    assert second.sensitivity() == report


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


def test_a_recipe_that_is_refused_keeps_nothing(shared_client: Client, tmp_path: Path) -> None:
    model = add(shared_client, tmp_path, "refused", 3)
    with pytest.raises(SteelyardError, match="calibration"):
        shared_client.compress(model, "equalize+static-int8").wait()
    assert not [one for one in shared_client.artifacts() if one.name.startswith("refused-")]
    assert shared_client.download(model.digest)


def test_steps_that_are_used_again_are_scored_by_the_task_at_hand(
    shared_client: Client, tmp_path: Path, data: Path
) -> None:
    model = add(shared_client, tmp_path, "unscored", 4)
    shared_client.compress(model, "float16").wait()
    assert not shared_client.artifact("unscored-float16").lineage.steps[0].HasField("evaluation")
    handle = shared_client.compress(model, "float16", task=shared_client.add_task(data, model))
    handle.wait()
    (step,) = handle.variant().lineage.steps
    assert step.reused
    assert (step.evaluation.metric, step.evaluation.sample_count) == ("top1", 40)


def without_matrix_products(path: Path) -> Path:
    """A model of two convolutions, in which dynamic quantization finds nothing to do."""
    model = onnx.load_model(conv_model(path, depth=2))
    head = model.graph.node.pop()
    del model.graph.output[:]
    pooled = onnx.helper.make_tensor_value_info(head.input[0], onnx.TensorProto.FLOAT, ["batch", 8])
    model.graph.output.append(pooled)
    kept = [one for one in model.graph.initializer if one.name not in head.input]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save_model(model, path)
    return path


def test_a_recipe_that_fails_in_the_middle_keeps_what_was_done_and_goes_on_from_there(
    shared_client: Client, tmp_path: Path
) -> None:
    model = shared_client.add_model(without_matrix_products(tmp_path / "halfway.onnx"))
    before = shared_client.download(model.digest)
    with pytest.raises(SteelyardError) as caught:
        shared_client.compress(model, "sparsify+dynamic-int8").wait()
    assert caught.value.reason == "nothing_to_quantize"
    kept = shared_client.artifact("halfway-sparsify")
    assert parent_of(kept) == model.digest
    handle = shared_client.compress(model, "sparsify+float16")
    handle.wait()
    assert [step.reused for step in handle.variant().lineage.steps] == [True, False]
    assert shared_client.download(model.digest) == before


SLOW = "equalize+static-int8+adaround,iterations=100000000"


def wait_for_the_last_step(handle: JobHandle) -> None:
    next(event for event in handle.events() if event.message.startswith("step 3 of 3"))


def test_a_recipe_that_is_cancelled_goes_on_behind_its_last_finished_step(
    shared_client: Client, tmp_path: Path, data: Path
) -> None:
    model = add(shared_client, tmp_path, "cancelled", 5)
    task = shared_client.add_task(data, model)
    handle = shared_client.compress(model, SLOW, task=task)
    wait_for_the_last_step(handle)
    ended = handle.cancel()
    assert ended.state == control_pb2.JOB_STATE_CANCELLED
    assert "steps that it finished are kept" in ended.error.message
    work = Path(shared_client.controller().state_directory) / "work"
    assert list(work.iterdir()) == []
    again = shared_client.compress(model, "equalize+static-int8+bias-correction", task=task)
    again.wait()
    assert [step.reused for step in again.variant().lineage.steps] == [True, True, False]


def test_a_recipe_whose_process_is_killed_says_so_and_keeps_its_finished_steps(
    shared_client: Client, tmp_path: Path, data: Path
) -> None:
    model = add(shared_client, tmp_path, "struck", 7)
    task = shared_client.add_task(data, model)
    handle = shared_client.compress(model, SLOW, task=task)
    wait_for_the_last_step(handle)
    (child,) = children_running("steelyard.compress")
    child.kill()
    with pytest.raises(SteelyardError, match="the compression of struck was ended by SIGKILL") as caught:
        handle.wait()
    assert caught.value.reason == "killed"
    again = shared_client.compress(model, "equalize+static-int8", task=task)
    again.wait()
    assert [step.reused for step in again.variant().lineage.steps] == [True, True]


def test_without_labels_each_step_is_held_against_the_parent(shared_client: Client, tmp_path: Path, data: Path) -> None:
    model = add(shared_client, tmp_path, "unlabelled", 8)
    path = tmp_path / "task.toml"
    path.write_text(
        f'name = "like"\ndata = "{data}"\n[evaluation]\ninputs = "x_eval"\n[calibration]\ninputs = "x_calib"\n'
        '[metric]\nkind = "cosine"\n',
        encoding="utf-8",
    )
    handle = shared_client.compress(model, "equalize+static-int8", task=shared_client.add_task(path, model))
    handle.wait()
    lineage = handle.variant().lineage
    assert lineage.parent_evaluation.value == pytest.approx(1.0)
    equalized, quantized = lineage.steps
    assert equalized.evaluation.value == pytest.approx(1.0, abs=1e-5)
    assert 0.9 < quantized.evaluation.value < equalized.evaluation.value
    assert quantized.evaluation.metric == "cosine"


def test_a_recipe_whose_controller_is_killed_goes_on_behind_its_last_finished_step(tmp_path: Path, data: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from steelyard.control.connect import connect\n"
        "from steelyard.settings import Settings\n"
        "from tests.loopback.test_pipelines import SLOW, wait_for_the_last_step\n"
        "client = connect(settings=Settings(state_directory=Path(sys.argv[1]), agent_listen='127.0.0.1:0'))\n"
        "model = client.add_model(sys.argv[2])\n"
        "wait_for_the_last_step(client.compress(model, SLOW, task=client.add_task(sys.argv[3], model)))\n"
        "print('kept', flush=True)\n"
        "time.sleep(600)\n"
    )
    path = conv_model(tmp_path / "killed.onnx", depth=2, seed=6)
    command = [sys.executable, "-c", script, str(tmp_path / "state"), str(path), str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        children = children_running("steelyard.compress", process.pid)
        assert children
        process.kill()
    wait_until(lambda: not any(child.is_running() for child in children))
    settings = Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0")
    with connect(settings=settings) as client:
        model = client.artifact("killed")
        handle = client.compress(model, "equalize+static-int8", task=client.add_task(data, model))
        handle.wait()
        assert [step.reused for step in handle.variant().lineage.steps] == [True, True]
        assert client.download(model.digest) == path.read_bytes()


def test_a_file_is_known_by_its_bytes_and_an_unseen_one_is_not_added_by_looking(
    shared_client: Client, tmp_path: Path
) -> None:
    path = conv_model(tmp_path / "seen.onnx", depth=1, seed=77)
    with pytest.raises(SteelyardError, match=r"never seen the file .*seen\.onnx") as caught:
        known_model(shared_client, str(path))
    assert caught.value.reason == "artifact_not_found"
    added = shared_client.add_model(path)
    copy = tmp_path / "copy of it.onnx"
    copy.write_bytes(path.read_bytes())
    assert known_model(shared_client, str(copy)).digest == added.digest
    assert known_model(shared_client, added.name).digest == added.digest
