"""The main job: compress, send, measure, evaluate on the device, decide. Real controller, real agent, real models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.demo.run import assets
from steelyard_protocol.v1 import control_pb2, measurement_pb2, result_pb2
from tests.support.anywhere import ANYWHERE

ROUNDS = MeasurementOptions(min_round_count=3, max_round_count=3, sample_window_ms=20, gate=ANYWHERE)


@pytest.fixture(scope="module")
def small_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped task cut to 200 evaluation images: the whole of it is the demo's job."""
    folder = tmp_path_factory.mktemp("task")
    with np.load(assets() / "fashion_mnist.npz", allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    for name in ("x_eval", "y_eval"):
        arrays[name] = arrays[name][:200]
    np.savez(folder / "fashion_mnist.npz", **arrays)
    (folder / "fashion_mnist.toml").write_text((assets() / "fashion_mnist.toml").read_text())
    return folder / "fashion_mnist.toml"


@pytest.fixture(scope="module")
def measured(shared_client: Client, small_task: Path) -> tuple[measurement_pb2.Measurement, str, Path]:
    original = shared_client.add_model(assets() / "fashion_mobilenet.onnx")
    task = shared_client.add_task(small_task, original)
    variants = []
    for recipe in ("float16", "static-int8"):
        handle = shared_client.compress(original, recipe, task=task, device="local")
        handle.wait()
        variants.append(handle.variant())
    job = shared_client.measure([original, *variants], task=task, options=ROUNDS)
    job.wait()
    return job.measurement(), job.job_id, small_task


def test_every_variant_has_every_figure_with_its_interval(measured) -> None:
    measurement, _, _ = measured
    assert [variant.label for variant in measurement.variants] == ["original", "float16", "static-int8"]
    for variant in measurement.variants:
        for name in ("p50_latency", "p90_latency", "accuracy", "model_load", "first_inference", "peak_memory"):
            estimate = getattr(variant, name)
            assert estimate.HasField("value"), (variant.label, name, estimate.reason)
            assert estimate.low <= estimate.value <= estimate.high, (variant.label, name)
        assert variant.p50_latency.value <= variant.p90_latency.value
        assert variant.evaluated_count == 200
        assert len(variant.rounds) == 3


def test_energy_without_a_sensor_is_unknown_with_what_was_looked_at(measured) -> None:
    measurement, _, _ = measured
    for variant in measurement.variants:
        assert variant.energy.HasField("value") or "looked at" in variant.energy.reason


def test_accuracy_equals_plain_onnxruntime_to_the_last_sample(measured, shared_client: Client) -> None:
    import onnxruntime

    measurement, _, task_path = measured
    with np.load(task_path.with_name("fashion_mnist.npz"), allow_pickle=False) as data:
        images = ((data["x_eval"] / 255.0 - 0.2860) / 0.3530).astype(np.float32)[:, None]
        labels = data["y_eval"]
    for variant in measurement.variants:
        session = onnxruntime.InferenceSession(
            shared_client.download(variant.artifact_digest), providers=["CPUExecutionProvider"]
        )
        answers = [session.run(None, {"image": image[None]})[0].argmax() for image in images]
        assert variant.correct_count == int((np.array(answers) == labels).sum()), variant.label


def test_the_decision_is_one_sentence_that_names_the_device(measured) -> None:
    measurement, _, _ = measured
    sentence = measurement.decision.sentence
    assert "local" in sentence
    assert sentence.endswith(".")


def test_rounds_run_in_alternating_order_and_keep_every_raw_sample(measured, shared_client: Client) -> None:
    measurement, job_id, _ = measured
    rounds = [one for one in shared_client.rounds(job_id) if one.pass_kind == result_pb2.PASS_LATENCY]
    orders = [[block.label for block in one.blocks] for one in rounds]
    assert orders[0] == ["original", "float16", "static-int8"]
    assert orders[1] == orders[0][::-1]
    assert orders[2] == orders[0]
    kept = sum(len(block.latency_ns) for one in rounds for block in one.blocks)
    assert kept == sum(variant.sample_count for variant in measurement.variants)


def test_the_device_that_measured_is_listed_with_what_it_can_do(measured, shared_client: Client) -> None:
    device = shared_client.device("local")
    assert device.online
    assert device.description.logical_core_count > 0
    runtimes = {runtime.name: runtime for runtime in device.description.runtimes}
    assert "CPUExecutionProvider" in runtimes["onnxruntime"].providers
    assert runtimes["litert"].version


def test_a_variant_knows_what_made_it(measured, shared_client: Client) -> None:
    measurement, _, _ = measured
    variant = shared_client.artifact(measurement.variants[2].artifact_digest)
    assert variant.lineage.parent_digest == measurement.variants[0].artifact_digest
    assert variant.lineage.recipe_name == "static-int8"
    assert variant.lineage.calibration_sample_count == 500
    assert variant.lineage.calibration_digest
    assert any(version.startswith("onnxruntime ") for step in variant.lineage.steps for version in step.tool_versions)


def test_the_same_recipe_gives_the_same_variant(measured, shared_client: Client, small_task: Path) -> None:
    measurement, _, _ = measured
    original = shared_client.artifact(measurement.variants[0].artifact_digest)
    task = shared_client.add_task(small_task, original)
    handle = shared_client.compress(original, "static-int8", task=task, device="local")
    handle.wait()
    assert handle.variant().digest == measurement.variants[2].artifact_digest


def test_a_finished_job_is_recorded_with_its_events(measured, shared_client: Client) -> None:
    _, job_id, _ = measured
    assert shared_client.job(job_id).state == control_pb2.JOB_STATE_RECORDED
    response = shared_client.events(job_id)
    assert response.finished
    assert response.events[-1].state == control_pb2.JOB_STATE_RECORDED
    cursors = [event.cursor for event in response.events]
    assert cursors == sorted(set(cursors))
