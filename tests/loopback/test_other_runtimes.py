"""Runtimes beside the usual ones, over real gRPC: OpenVINO, and tflite-runtime in an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.control.plans import MeasurementOptions
from steelyard.demo.run import assets
from steelyard.errors import UsageError
from steelyard.settings import Settings
from steelyard_agent.cli import main as agent_main
from steelyard_agent.worker.cache_witness import CacheWitness
from steelyard_protocol.v1 import control_pb2, measurement_pb2
from tests.loopback.test_demo_path import small_task  # noqa: F401 (a fixture)
from tests.support.anywhere import ANYWHERE
from tests.support.runtime_environments import OLDER, TFLITE, needs_tflite_environment, require
from tests.support.tflite_models import tflite_linear_model


def quick(runtime: str) -> MeasurementOptions:
    return MeasurementOptions(min_round_count=3, max_round_count=3, sample_window_ms=20, runtime=runtime, gate=ANYWHERE)


def test_openvino_measures_an_onnx_model_and_agrees_with_onnxruntime(
    shared_client: Client,
    small_task: Path,  # noqa: F811
) -> None:
    model = shared_client.add_model(assets() / "fashion_mobilenet.onnx")
    task = shared_client.add_task(small_task, model)
    measured = {}
    for name in ("onnxruntime", "openvino"):
        job = shared_client.measure([model], task=task, options=quick(name))
        assert job.wait().state == control_pb2.JOB_STATE_RECORDED
        (measured[name],) = job.measurement().variants
    openvino, onnxruntime = measured["openvino"], measured["onnxruntime"]
    assert openvino.runtime_version.startswith("20")
    assert list(openvino.providers) == ["CPU"]
    assert openvino.placements[0].node_count > 1
    assert "OpenVINO computes in f32" in openvino.notes
    assert openvino.p50_latency.HasField("value")
    # Kernels round differently: one image of 200 may change its class.
    assert openvino.evaluated_count == onnxruntime.evaluated_count == 200
    assert abs(openvino.correct_count - onnxruntime.correct_count) <= 1


def test_openvino_compiles_once_and_loads_from_its_cache_in_this_job_and_the_next(tmp_path: Path) -> None:
    prepared = tmp_path / "local-agent" / "prepared"
    builds, kept = [], []
    with connect(settings=Settings(state_directory=tmp_path, agent_listen="127.0.0.1:0")) as client:
        model = client.add_model(assets() / "fashion_resnet.onnx")
        for index in range(3):
            if index == 2:
                # What was compiled is lost and its note is not: a hit that was assumed would now be a lie.
                for blob in prepared.glob("*/cache/*"):
                    blob.unlink()
            measurement = _measured(client, model, "openvino")
            (variant,) = measurement.variants
            assert variant.prepared
            assert not any("compiled the model again" in warning for warning in measurement.warnings)
            # Three results. Which is the longest is a matter of the machine's other work.
            assert len({variant.build_time.value, variant.model_load.value, variant.p50_latency.value} - {0}) == 3
            builds.append(variant.build_time.value)
            kept.append(CacheWitness.of(prepared))
    assert builds[0] == builds[1], "the second job found the build of the first, and says the time it took then"
    assert kept[0].proves_hit(kept[1])
    assert builds[2] != builds[0]
    assert not kept[1].proves_hit(kept[2])


def test_onnxruntime_on_the_cpu_compiles_nothing(shared_client: Client) -> None:
    model = shared_client.add_model(assets() / "fashion_resnet.onnx")
    (variant,) = _measured(shared_client, model, "onnxruntime").variants
    assert not variant.HasField("build_time")
    assert not variant.prepared


@pytest.fixture(scope="module")
def client_with_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    state = tmp_path_factory.mktemp("state")
    local = str(state / "local-agent")
    # Without tflite-runtime's the tests that need it are deselected, or fail where they ask for it.
    for name, folder in (("older", OLDER), *([("tflite", TFLITE)] if TFLITE.is_dir() else [])):
        python = str(require(folder))
        assert agent_main(["environment", "add", name, "--python", python, "--state-directory", local]) == 0
    with connect(settings=Settings(state_directory=state, agent_listen="127.0.0.1:0")) as connected:
        yield connected


@pytest.fixture(scope="module")
def tflite_model(client_with_environment: Client, tmp_path_factory: pytest.TempPathFactory) -> control_pb2.Artifact:
    path = tflite_linear_model(tmp_path_factory.mktemp("models") / "linear.tflite", features=64, classes=10)
    return client_with_environment.add_model(path)


def _measured(client: Client, model: control_pb2.Artifact, runtime: str) -> measurement_pb2.Measurement:
    job = client.measure([model], options=quick(runtime))
    assert job.wait().state == control_pb2.JOB_STATE_RECORDED
    return job.measurement()


def test_one_model_is_measured_under_two_versions_of_one_runtime(
    client_with_environment: Client,
    small_task: Path,  # noqa: F811
) -> None:
    model = client_with_environment.add_model(assets() / "fashion_mobilenet.onnx")
    task = client_with_environment.add_task(small_task, model)
    measured = []
    for runtime in ("onnxruntime", "onnxruntime@older"):
        job = client_with_environment.measure([model], task=task, options=quick(runtime))
        assert job.wait().state == control_pb2.JOB_STATE_RECORDED
        measured += job.measurement().variants
    own, older = measured
    assert older.runtime_version == "1.20.1" != own.runtime_version
    assert (own.runtime.environment, older.runtime.environment) == ("", "older")
    assert older.p50_latency.HasField("value")
    # Kernels round differently from release to release.
    assert older.evaluated_count == own.evaluated_count == 200
    assert abs(older.correct_count - own.correct_count) <= 1


@needs_tflite_environment
def test_one_file_is_measured_in_two_environments_of_one_device(
    client_with_environment: Client, tflite_model: control_pb2.Artifact
) -> None:
    own = _measured(client_with_environment, tflite_model, "litert").variants[0]
    other = _measured(client_with_environment, tflite_model, "tflite-runtime@tflite").variants[0]
    assert (own.runtime.name, own.runtime.environment) == ("litert", "")
    assert (other.runtime.name, other.runtime.environment) == ("tflite-runtime", "tflite")
    assert other.runtime_version == "2.14.0"
    for variant in (own, other):
        assert list(variant.providers) == ["XNNPACK"]
        assert [(one.provider, one.node_count) for one in variant.placements] == [("XNNPACK", 1)]
        assert variant.p50_latency.HasField("value")


@needs_tflite_environment
def test_the_device_lists_its_environments(client_with_environment: Client, tflite_model: control_pb2.Artifact) -> None:
    device = _measured(client_with_environment, tflite_model, "litert").device
    (found,) = [one for one in device.runtimes if one.environment == "tflite"]
    assert (found.name, found.version, list(found.providers)) == ("tflite-runtime", "2.14.0", ["XNNPACK", "CPU"])
    assert "EdgeTPU" in {one.name for one in found.unusable_providers}


@needs_tflite_environment
def test_an_environment_that_the_device_does_not_have_is_one_sentence(
    client_with_environment: Client, tflite_model: control_pb2.Artifact
) -> None:
    with pytest.raises(UsageError, match="no runtime environment 'nowhere', it has older, tflite; name one of these"):
        _measured(client_with_environment, tflite_model, "tflite-runtime@nowhere")


@needs_tflite_environment
def test_a_runtime_that_the_environment_does_not_have_says_so(
    client_with_environment: Client, tflite_model: control_pb2.Artifact
) -> None:
    with pytest.raises(UsageError, match="LiteRT cannot be imported here"):
        _measured(client_with_environment, tflite_model, "litert@tflite")
