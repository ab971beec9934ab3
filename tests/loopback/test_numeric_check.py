"""Outputs of a real agent beside the controller's own run: right ones, and planted faults of every kind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.plans import MeasurementOptions
from steelyard.settings import Settings
from steelyard_protocol.v1 import measurement_pb2
from tests.support import faulty_runtimes
from tests.support.anywhere import ANYWHERE
from tests.support.models import conv_model, linear_model, nan_model
from tests.support.processes import wait_until
from tests.support.tflite_models import tflite_linear_model

AGREES, DIVERGES = measurement_pb2.NUMERIC_VERDICT_AGREES, measurement_pb2.NUMERIC_VERDICT_DIVERGES
NOT_FINITE = measurement_pb2.NUMERIC_VERDICT_NOT_FINITE
NOT_CHECKED = measurement_pb2.NUMERIC_VERDICT_NOT_CHECKED


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = faulty_runtimes.install(tmp_path_factory.mktemp("plugin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def faulty_client(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A controller whose local agent has the runtimes that answer wrongly."""
    settings = Settings(state_directory=tmp_path_factory.mktemp("faulty"), agent_listen="127.0.0.1:0")
    with connect(settings=settings) as connected:
        yield connected


def measure(client: Client, *paths: Path, device: str = "local", **options: object) -> measurement_pb2.Measurement:
    labels = tuple(path.stem for path in paths)
    settings = {"min_round_count": 3, "max_round_count": 3, "sample_window_ms": 20, "gate": ANYWHERE, "labels": labels}
    artifacts = [client.add_model(path) for path in paths]
    handle = client.measure(artifacts, device=device, options=MeasurementOptions(**{**settings, **options}))
    handle.wait()
    return handle.measurement()


def check_of(measurement: measurement_pb2.Measurement) -> measurement_pb2.NumericCheck:
    (variant,) = measurement.variants
    return variant.numeric


def quantized_model(path: Path) -> Path:
    """Write x [batch, 4] -> Gemm -> QuantizeLinear -> y int8 over its whole range."""
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32), "weight")
    scale = numpy_helper.from_array(np.float32(0.01), "scale")
    zero = numpy_helper.from_array(np.int8(0), "zero")
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["sums"]),
        helper.make_node("QuantizeLinear", ["sums", "scale", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, ["batch", 8])],
        [weight, scale, zero],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_a_device_that_answers_right_agrees_and_tells_its_memory(shared_client: Client, tmp_path: Path) -> None:
    measurement = measure(shared_client, conv_model(tmp_path / "m.onnx", depth=2), check_layers=True)
    (variant,) = measurement.variants
    check = variant.numeric
    assert check.verdict == AGREES, check.because
    assert check.sample_count == 8
    assert check.cosine == pytest.approx(1.0)
    assert check.argmax_agreement == 1.0
    assert check.first_diverging_layer == ""
    assert "outputs of layers diverges" in check.because
    assert len(check.outputs_digest) == 64
    assert variant.memory.arena_bytes > 0
    assert 0 < variant.memory.least_available_bytes < measurement.device.memory_bytes


def test_a_tflite_model_agrees_with_litert_on_the_controller(shared_client: Client, tmp_path: Path) -> None:
    path = tflite_linear_model(tmp_path / "m.tflite", features=16, classes=4)
    (variant,) = measure(shared_client, path, check_layers=True).variants
    assert variant.numeric.verdict == AGREES, variant.numeric.because
    assert "LiteRT" in variant.numeric.because
    assert "layers were not looked at: a TFLite interpreter" in variant.numeric.because
    assert not variant.memory.HasField("arena_bytes")
    assert "does not tell" in variant.memory.arena_source


def test_switched_off_nothing_is_checked_and_it_says_so(shared_client: Client, tmp_path: Path) -> None:
    (variant,) = measure(shared_client, linear_model(tmp_path / "m.onnx"), numeric_check=False).variants
    assert variant.numeric.verdict == NOT_CHECKED
    assert "--no-numeric-check" in variant.numeric.because
    assert "--no-numeric-check" in variant.memory.arena_source


def test_a_model_that_gives_nan_everywhere_is_the_models_fault(shared_client: Client, tmp_path: Path) -> None:
    measurement = measure(shared_client, nan_model(tmp_path / "m.onnx"))
    check = check_of(measurement)
    assert check.verdict == NOT_FINITE
    assert "on the controller too" in check.because
    assert "must not be shipped" in measurement.decision.sentence
    assert any("must not be shipped" in warning for warning in measurement.warnings)


def test_another_order_of_the_same_sums_agrees(faulty_client: Client, tmp_path: Path) -> None:
    check = check_of(measure(faulty_client, conv_model(tmp_path / "m.onnx"), runtime="imprecise"))
    assert check.verdict == AGREES, check.because
    assert check.max_absolute_error > 0
    assert check.sqnr_db > 100


def test_a_wrong_weight_diverges_and_its_layer_is_named(faulty_client: Client, tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=3)
    measurement = measure(faulty_client, model, runtime="scaled", check_layers=True)
    check = check_of(measurement)
    assert check.verdict == DIVERGES
    # Nodes are Conv, Relu, Conv, ...: the second convolution is the third node.
    assert check.first_diverging_layer == "Conv_2 (Conv, output 'conv1')"
    assert "fuses less" in check.because
    assert check.cosine < 0.9999
    assert any("does not answer as it should" in warning for warning in measurement.warnings)


def test_nan_of_the_device_alone_is_the_devices_fault(faulty_client: Client, tmp_path: Path) -> None:
    measurement = measure(
        faulty_client, conv_model(tmp_path / "a.onnx"), conv_model(tmp_path / "b.onnx", seed=1), runtime="half_nan"
    )
    for variant in measurement.variants:
        assert variant.numeric.verdict == NOT_FINITE
        assert "finite on the controller" in variant.numeric.because
    assert measurement.decision.kind == measurement_pb2.DECISION_KIND_INCOMPLETE


def test_bytes_that_saturate_diverge(faulty_client: Client, tmp_path: Path) -> None:
    path = quantized_model(tmp_path / "m.onnx")
    right = check_of(measure(faulty_client, path))
    wrong = check_of(measure(faulty_client, path, runtime="saturated"))
    assert right.verdict == AGREES, right.because
    assert wrong.verdict == DIVERGES
    assert wrong.max_absolute_error > 1
    assert "quantized" in wrong.because


def test_two_devices_that_answer_differently_are_a_finding(faulty_client: Client, plugin: Path, tmp_path: Path) -> None:
    model = conv_model(tmp_path / "m.onnx", depth=2)
    assert not check_of(measure(faulty_client, model)).other_devices
    arguments = ["run", "--controller", faulty_client.controller().agent_address, "--name", "pi4"]
    arguments += ["--state-directory", str(tmp_path / "agent")]
    environment = {**os.environ, "PYTHONPATH": str(plugin)}
    with subprocess.Popen(
        [sys.executable, "-m", "steelyard_agent", *arguments], env=environment, stderr=subprocess.DEVNULL
    ) as agent:
        try:
            wait_until(lambda: any(one.description.name == "pi4" and one.online for one in faulty_client.devices()))
            same = check_of(measure(faulty_client, model, device="pi4"))
            measurement = measure(faulty_client, model, device="pi4", runtime="scaled")
        finally:
            agent.terminate()
    assert same.verdict == AGREES
    assert not same.other_devices
    (sentence,) = check_of(measurement).other_devices
    assert sentence.startswith("local (onnxruntime ")
    assert "answers differently: cosine 0." in sentence
    assert f"m: {sentence}" in measurement.warnings
