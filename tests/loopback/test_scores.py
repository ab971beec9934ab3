"""Tasks with other metrics and several inputs through a real agent: scored as plain onnxruntime would be."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.bundle import verify_bundle, write_bundle
from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import UsageError
from steelyard.tasks.npz import write_npz
from steelyard.tasks.truth import pack_truth
from steelyard_protocol.v1 import control_pb2, measurement_pb2
from tests.support.anywhere import ANYWHERE

COUNT = 60


def two_input_model(path: Path, noise: float = 0.0) -> Path:
    """Write left, right [batch, 4] -> y [batch, 1]: a weighted sum of both, off by a planted error."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array((rng.standard_normal((4, 1)) + noise).astype(np.float32), name)
        for name in ("of_left", "of_right")
    ]
    nodes = [
        helper.make_node("MatMul", ["left", "of_left"], ["first"]),
        helper.make_node("MatMul", ["right", "of_right"], ["second"]),
        helper.make_node("Add", ["first", "second"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("left", "right")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])]
    graph = helper.make_graph(nodes, "two_inputs", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.standard_normal((COUNT, 4)).astype(np.float32) for name in ("left", "right")}


def answers_of(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs())[0][:, 0].astype(np.float64)


def add_task(client: Client, kind: str, truth: Mapping[str, np.ndarray], **settings: object) -> control_pb2.Task:
    """Register a task as a client does that made its blobs."""
    blob = write_npz({f"{name}.values": array for name, array in inputs().items()})
    task = control_pb2.Task(
        name="sums",
        metric=kind,
        metric_settings_json=json.dumps(settings),
        evaluation_digest=client.upload_bytes(blob),
        evaluation_sample_count=COUNT,
        labels_digest=client.upload_bytes(pack_truth(truth)) if truth else "",
    )
    request = control_pb2.CreateTaskRequest(request_id=uuid.uuid4().hex, task=task)
    return client._control.CreateTask(request, timeout=60).task


def measure(client: Client, paths: list[Path], task: control_pb2.Task, *requirements: str) -> control_pb2.Job:
    options = MeasurementOptions(
        min_round_count=3,
        max_round_count=3,
        sample_window_ms=20,
        gate=ANYWHERE,
        labels=tuple(path.stem for path in paths),
        requirements=requirements,
    )
    artifacts = [client.add_model(path) for path in paths]
    return client.measure(artifacts, device="local", task=task, options=options).wait()


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    return [two_input_model(tmp_path / "original.onnx"), two_input_model(tmp_path / "off.onnx", noise=0.05)]


def test_a_regression_over_two_inputs_is_scored_as_onnxruntime_answers(
    shared_client: Client, models: list[Path], tmp_path: Path
) -> None:
    targets = answers_of(models[0]) + 0.1 * np.random.default_rng(2).standard_normal(COUNT)
    job = measure(shared_client, models, add_task(shared_client, "rmse", {"targets": targets}), "rmse<0.5")
    assert job.state == control_pb2.JOB_STATE_RECORDED
    measurement = shared_client.measurement(job.job_id).measurement
    for path, variant in zip(models, measurement.variants, strict=True):
        expected = float(np.sqrt(np.mean((answers_of(path) - targets) ** 2)))
        assert variant.accuracy.value == pytest.approx(expected, rel=1e-4)
        assert variant.accuracy.low < expected < variant.accuracy.high
        assert variant.accuracy.unit == "number"
        assert variant.evaluated_count == COUNT
        assert variant.requirements[0].verdict == measurement_pb2.REQUIREMENT_VERDICT_MEETS
    assert measurement.variants[1].accuracy_drop.low > 0.0
    # Every figure follows from the bundle, bootstrap included.
    path = write_bundle(shared_client, [job.job_id], tmp_path / "b.zip").path
    assert verify_bundle(path).agrees


def test_likeness_to_the_original_needs_no_labels(shared_client: Client, models: list[Path]) -> None:
    job = measure(shared_client, models, add_task(shared_client, "sqnr", {}), "sqnr>10dB")
    original, off = shared_client.measurement(job.job_id).measurement.variants
    first, second = answers_of(models[0]), answers_of(models[1])
    expected = np.mean(20.0 * (np.log10(np.abs(first)) - np.log10(np.abs(first - second))))
    assert original.accuracy.value == 200.0
    assert off.accuracy.value == pytest.approx(expected, rel=1e-3)
    assert off.accuracy.unit == "dB"


def test_a_requirement_that_the_task_does_not_measure_is_refused(shared_client: Client, models: list[Path]) -> None:
    task = add_task(shared_client, "sqnr", {})
    with pytest.raises(UsageError, match="measures sqnr"):
        measure(shared_client, models, task, "accuracy>90%")
