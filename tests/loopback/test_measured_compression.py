"""Pruning to a latency, and a recipe that is measured after every step, on a real agent of this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.control.client import Client
from steelyard.control.measurement_request import StepMeasuring
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import NotFoundError, UsageError
from steelyard.plugins.files import plugin_files
from steelyard_protocol.v1 import control_pb2
from tests.support.anywhere import ANYWHERE
from tests.support.models import conv_model
from tests.support.outside_importance import PLUGIN
from tests.support.processes import wait_until

pytest.importorskip("torch", reason="steps that train need PyTorch: pip install 'steelyard[train]'")

QUICK = MeasurementOptions(min_round_count=3, max_round_count=3, sample_window_ms=20, gate=ANYWHERE)
TAUGHT = "epochs=1,batch_size=32,learning_rate=0.01,augment=flip,teachers=parent"
# Whatever this machine does just then is near enough, or the nearest of two.
RECIPE = f"prune,latency=0.5x,latency_tolerance=0.5,latency_candidates=2,round_to=1,{TAUGHT}+qat,{TAUGHT}"


def add_pictures(client: Client, model: control_pb2.Artifact, folder: Path) -> control_pb2.Task:
    """Add a task of pictures whose class is the sign of their mean."""
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((160, 1, 16, 16)).astype(np.float32)
    classes = (pictures.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
    pictures += (classes[:, None, None, None] - 0.5).astype(np.float32)
    np.savez(folder / "p.npz", x=pictures[:32], y=classes[:32], x_train=pictures[32:], y_train=classes[32:])
    return client.add_task(folder / "p.npz", model)


def measurements(client: Client) -> list[control_pb2.Job]:
    return [job for job in client.jobs() if job.kind == control_pb2.JOB_KIND_MEASUREMENT]


def test_a_hybrid_is_pruned_to_a_latency_taught_quantized_and_measured_after_each_step(
    shared_client: Client, tmp_path: Path
) -> None:
    client = shared_client
    model = client.add_model(conv_model(tmp_path / "m.onnx", channels=16, size=16, classes=2, depth=2, seed=31))
    task = add_pictures(client, model, tmp_path)
    measuring = StepMeasuring(device="local", options=QUICK, each_step=True)
    job = client.compress(model, RECIPE, task=task, measuring=measuring).wait()
    lineage = client.artifact(job.variant_digest).lineage
    pruned, quantized = lineage.steps
    for step in (pruned, quantized):
        assert (step.latency.device, step.latency.reason) == ("local", "")
        assert step.latency.p50.value > 0
        assert step.latency.parent_p50.value > 0
        assert step.latency.speedup.observation_count == 3
        assert step.HasField("evaluation")
        # Each is a measurement like any other: with samples, and a report.
        labels = [one.label for one in client.measurement(step.latency.job_id).measurement.variants]
        assert labels == ["model", "candidate"]
    assert any("candidate" in note and "of the model's time" in note for note in pruned.notes)
    assert client.artifact(pruned.output_digest).lineage.steps[0].latency.job_id == pruned.latency.job_id
    made = measurements(client)
    # Candidates, and the two steps.
    assert 3 <= len(made) <= 4
    # Run again, nothing is: neither steps nor measurements.
    again = client.compress(model, RECIPE, task=task, measuring=measuring).wait()
    assert [step.reused for step in again.steps] == [True, True]
    assert [step.latency.job_id for step in again.steps] == [pruned.latency.job_id, quantized.latency.job_id]
    assert len(measurements(client)) == len(made)


def test_an_importance_from_outside_prunes_is_trained_behind_and_measured(
    shared_client: Client, tmp_path: Path
) -> None:
    assert len(PLUGIN.splitlines()) < 30
    client, path = shared_client, tmp_path / "cautious.py"
    path.write_text(PLUGIN, encoding="utf-8")
    model = client.add_model(conv_model(tmp_path / "m.onnx", channels=16, size=16, classes=2, depth=2, seed=34))
    task = add_pictures(client, model, tmp_path)
    recipe = "prune,importance=cautious,round_to=1,sample_batches=1,epochs=1,batch_size=32,augment=flip"
    with plugin_files([str(path)]):
        measuring = StepMeasuring(device="local", options=QUICK, each_step=True)
        job = client.compress(model, recipe, task=task, measuring=measuring).wait()
    (step,) = client.artifact(job.variant_digest).lineage.steps
    assert any(note.startswith("left: macs ") for note in step.notes)
    assert step.HasField("evaluation")
    assert (step.latency.reason, step.latency.speedup.observation_count) == ("", 3)


def test_a_device_that_is_away_costs_the_figure_and_not_what_was_made(shared_client: Client, tmp_path: Path) -> None:
    client = shared_client
    model = client.add_model(conv_model(tmp_path / "m.onnx", seed=32))
    with pytest.raises(NotFoundError, match="pi5"):
        client.compress(model, "float16", measuring=StepMeasuring(device="pi5", options=QUICK, each_step=True))
    with pytest.raises(UsageError, match="name one device") as caught:
        client.compress(model, "float16", measuring=StepMeasuring(device="pool:x86", options=QUICK, each_step=True))
    assert caught.value.reason == "latency_on_a_pool"
    with pytest.raises(UsageError, match="none was named") as caught:
        client.compress(model, "prune,latency=0.5x,epochs=0")
    assert caught.value.reason == "no_device"
    # No process is as small: nothing can be measured, and the variant is made.
    impossible = MeasurementOptions(memory_limit_bytes=1, min_round_count=3, max_round_count=3, gate=ANYWHERE)
    measuring = StepMeasuring(device="local", options=impossible, each_step=True)
    job = client.compress(model, "float16", measuring=measuring).wait()
    (step,) = job.steps
    assert job.variant_digest == step.output_digest
    assert step.latency.reason
    assert not step.latency.p50.HasField("value")


def test_a_compression_that_is_cancelled_takes_its_measurement_with_it_and_goes_on_with_another(
    shared_client: Client, tmp_path: Path
) -> None:
    client = shared_client
    model = client.add_model(conv_model(tmp_path / "m.onnx", seed=33))
    endless = MeasurementOptions(min_round_count=900, max_round_count=900, sample_window_ms=20, gate=ANYWHERE)
    measuring = StepMeasuring(device="local", options=endless, each_step=True)
    ended = []
    for _ in range(2):
        handle = client.compress(model, "float16", measuring=measuring)
        wait_until(lambda: measurements(client)[0].state == control_pb2.JOB_STATE_RUNNING)
        assert handle.cancel().state == control_pb2.JOB_STATE_CANCELLED
        ended.append(measurements(client)[0])
        assert ended[-1].state == control_pb2.JOB_STATE_CANCELLED
        # What the step made is there.
        assert client.artifact("m-float16").lineage.parent_digest == model.digest
    assert ended[0].job_id != ended[1].job_id
