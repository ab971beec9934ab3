from __future__ import annotations

import pytest

from steelyard.control.default_runtime import fill_in_runtime
from steelyard_protocol.v1 import common_pb2, plan_pb2

ONNX, TFLITE = common_pb2.ARTIFACT_FORMAT_ONNX, common_pb2.ARTIFACT_FORMAT_TFLITE


def described(name: str, *, reason: str = "", environment: str = "") -> common_pb2.RuntimeDescription:
    version = "" if reason else "1"
    return common_pb2.RuntimeDescription(name=name, version=version, reason=reason, environment=environment)


def filled(
    file_format: common_pb2.ArtifactFormat.ValueType, *runtimes: common_pb2.RuntimeDescription, **given: str
) -> tuple[str, str]:
    planned = plan_pb2.PlannedArtifact(format=file_format, runtime=plan_pb2.RuntimeSpec(**given))  # type: ignore[arg-type]
    fill_in_runtime(planned, runtimes)
    return planned.runtime.name, planned.runtime.environment


@pytest.mark.parametrize(("file_format", "name"), [(ONNX, "onnxruntime"), (TFLITE, "litert")])
def test_a_device_that_said_nothing_is_expected_to_have_the_usual_one(
    file_format: common_pb2.ArtifactFormat.ValueType, name: str
) -> None:
    assert filled(file_format) == (name, "")


def test_what_the_device_has_for_the_format_is_taken() -> None:
    phone = described("benchmark_model")
    assert filled(TFLITE, described("litert", reason="not installed"), phone) == ("benchmark_model", "")
    assert filled(TFLITE, phone, described("litert")) == ("litert", "")
    assert filled(ONNX, phone) == ("onnxruntime", ""), "it runs no .onnx; the device will say so"
    other = described("tflite-runtime", environment="tflite")
    assert filled(TFLITE, described("litert", reason="no"), other) == ("tflite-runtime", "tflite")


def test_what_a_person_named_is_left_alone() -> None:
    assert filled(TFLITE, described("benchmark_model"), name="litert") == ("litert", "")
    assert filled(TFLITE, described("litert"), environment="old") == ("litert", "old")
