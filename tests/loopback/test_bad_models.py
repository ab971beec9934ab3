"""Models that misbehave on the device: each ends its own block with a sentence, and the next job runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.support.anywhere import ANYWHERE

Write = Callable[..., Path]
QUICK = {"min_round_count": 3, "max_round_count": 3, "sample_window_ms": 20, "gate": ANYWHERE}


def measure(client: Client, paths: list[Path], **options: object) -> measurement_pb2.Measurement:
    artifacts = [client.add_model(path) for path in paths]
    labels = tuple(path.stem for path in paths)
    handle = client.measure(artifacts, options=MeasurementOptions(**{**QUICK, "labels": labels, **options}))
    handle.wait()
    return handle.measurement()


def test_a_model_that_never_returns_costs_one_block_and_the_others_are_measured(
    shared_client: Client, model: Write
) -> None:
    paths = [model("conv_model", "good.onnx"), model("endless_model", "endless.onnx")]
    measurement = measure(shared_client, paths, block_timeout_s=3.0)
    good, endless = measurement.variants
    assert good.p50_latency.HasField("value")
    assert endless.failure_status == result_pb2.BLOCK_STATUS_TIMEOUT
    assert "3" in endless.failure.message
    assert "--block-timeout" in endless.failure.message


def test_a_model_that_allocates_without_end_is_stopped_at_the_limit(shared_client: Client, model: Write) -> None:
    paths = [model("conv_model", "good.onnx"), model("hungry_model", "hungry.onnx")]
    measurement = measure(shared_client, paths, memory_limit_bytes=400 * 1024 * 1024)
    good, hungry = measurement.variants
    assert good.p50_latency.HasField("value")
    assert hungry.failure_status == result_pb2.BLOCK_STATUS_OUT_OF_MEMORY
    assert hungry.failure.message


def test_an_unknown_op_is_a_sentence_that_names_it(shared_client: Client, model: Write) -> None:
    path = model("unknown_op_model", "unknown.onnx")
    with pytest.raises(SteelyardError) as caught:
        measure(shared_client, [path])
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_a_dynamic_shape_without_a_size_names_the_flag(shared_client: Client, model: Write) -> None:
    path = model("two_dynamic_dims_model", "dynamic.onnx")
    with pytest.raises(SteelyardError, match="--shape"):
        measure(shared_client, [path])


def test_a_provider_that_is_not_here_is_said_and_never_replaced(shared_client: Client, model: Write) -> None:
    with pytest.raises(SteelyardError, match="CUDAExecutionProvider"):
        measure(shared_client, [model()], providers=("CUDAExecutionProvider",))


def test_the_job_after_all_of_these_runs(shared_client: Client, model: Write) -> None:
    measurement = measure(shared_client, [model("linear_model", "next.onnx")])
    assert measurement.variants[0].p50_latency.HasField("value")
    assert measurement.variants[0].sample_count > 0
