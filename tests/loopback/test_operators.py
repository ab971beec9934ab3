"""Operators and the roofline probe through a real agent: profile, layers of the file, sentences, report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.report.html import render_html
from steelyard_protocol.v1 import control_pb2, measurement_pb2, result_pb2
from tests.support.anywhere import ANYWHERE
from tests.support.layer_truth import FOLDER


def _measured(client: Client, path: Path, **options: object) -> tuple[control_pb2.Job, measurement_pb2.Measurement]:
    settings = {
        "min_round_count": 3,
        "max_round_count": 3,
        "sample_window_ms": 20,
        "operators": True,
        "gate": ANYWHERE,
    } | options
    handle = client.measure([client.add_model(path)], options=MeasurementOptions(**settings))
    job = handle.wait()
    assert job.state == control_pb2.JOB_STATE_RECORDED, job.error.message
    return job, handle.measurement()


@pytest.fixture
def conv(model: Callable[..., Path]) -> Path:
    return model("conv_model", depth=3, size=24)


def test_operators_and_the_device_come_beside_the_latency(shared_client: Client, conv: Path) -> None:
    _, measurement = _measured(shared_client, conv, roofline=True)
    (variant,) = measurement.variants
    summary = variant.operators
    assert summary.reason == ""
    assert sum(one.share for one in summary.operators) == pytest.approx(1.0)
    times = [one.mean_ns for one in summary.operators]
    assert times == sorted(times, reverse=True)
    assert {one.provider for one in summary.operators} == {"CPUExecutionProvider"}
    # 3 x 3 kernels, 8 channels of 24 x 24: one input channel, then eight, twice; and the Gemm.
    assert summary.mac_count == 24 * 24 * 8 * 9 * (1 + 8 + 8) + 8 * 10
    assert sum(one.mac_count for one in summary.operators) == summary.mac_count
    assert summary.mac_per_s == pytest.approx(summary.mac_count * 1e9 / variant.p50_latency.value)
    rates = {one.name: one for one in measurement.roofline}
    assert {"float32 multiply-accumulate", "memory read", "memory copy"} < set(rates)
    assert rates["float32 multiply-accumulate by onnxruntime"].rate_per_s > 0
    assert summary.device_mac_per_s == max(
        one.rate_per_s for one in measurement.roofline if one.name.startswith("float32")
    )
    page = render_html([measurement], generated_at=dt.datetime.now(tz=dt.timezone.utc), controller="test")
    assert "What ran where" in page
    assert "At most, memory read" in page


def test_the_profile_never_feeds_a_latency(shared_client: Client, conv: Path) -> None:
    job, measurement = _measured(shared_client, conv)
    rounds = list(shared_client.rounds(job.job_id))
    (profiled,) = [one for one in rounds if one.pass_kind == result_pb2.PASS_OPERATORS]
    assert profiled.blocks[0].operators.operators
    assert not profiled.blocks[0].latency_ns
    assert not profiled.blocks[0].HasField("model_load_ns")
    timed = [one for one in rounds if one.pass_kind == result_pb2.PASS_LATENCY]
    # Everything that is timed came before it.
    assert max(one.started_at.ToNanoseconds() for one in timed) < profiled.started_at.ToNanoseconds()
    assert measurement.round_count == len(timed) - measurement.repeated_round_count
    assert not measurement.roofline
    assert not measurement.variants[0].operators.HasField("device_mac_per_s")


def test_litert_tells_which_operators_xnnpack_left_to_it(shared_client: Client) -> None:
    _, measurement = _measured(shared_client, FOLDER / "keyword_spotting.tflite")
    summary = measurement.variants[0].operators
    assert summary.reason == ""
    assert {one.provider for one in summary.operators} == {"XNNPACK", "CPU"}
    assert {one.name for one in summary.operators if one.provider == "CPU"} == {"AVERAGE_POOL_2D_10", "SOFTMAX_13"}
    assert sum(one.mac_count for one in summary.operators) == summary.mac_count == 2_656_768
    assert any("ran on CPU, not on XNNPACK" in finding for finding in summary.findings)


def test_a_plan_without_operators_has_none(shared_client: Client, conv: Path) -> None:
    _, measurement = _measured(shared_client, conv, operators=False)
    assert not measurement.variants[0].HasField("operators")
    assert not measurement.plan.HasField("roofline")
