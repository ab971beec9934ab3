"""A phone on a cable without Termux, end to end: controller, agent, a fake adb, a program that prints recordings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import DeviceError, NotFoundError
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2, result_pb2
from tests.support.anywhere import ANYWHERE
from tests.support.fake_phone import SERIAL, FakePhone, FakePhones, program, recording
from tests.support.tflite_models import tflite_linear_model

QUICK = {"min_round_count": 3, "max_round_count": 3, "device_wait_s": 60.0, "gate": ANYWHERE}


@pytest.fixture
def phone(tmp_path: Path) -> FakePhone:
    return FakePhones(tmp_path / "phones").add()


@pytest.fixture
def plugged(client: Client, phone: FakePhone, tmp_path: Path) -> Iterator[FakePhone]:
    """The phone with an agent of its own that has said hello."""
    binary = program(tmp_path, recording("xnnpack_complete"))
    environment = {**os.environ, "PATH": f"{phone.phones.program.parent}:{os.environ['PATH']}"}
    with (tmp_path / "agent.log").open("wb") as log:
        agent = subprocess.Popen(
            [
                *(sys.executable, "-m", "steelyard_agent", "run", "--controller", client.controller().agent_address),
                *("--name", "pixel", "--adb", SERIAL, "--benchmark-binary", str(binary)),
                *("--state-directory", str(tmp_path / "agent")),
            ],
            env=environment,
            stderr=log,
        )
    try:
        _wait_for(client, "pixel", tmp_path / "agent.log", agent)
        yield phone
    finally:
        agent.terminate()
        assert agent.wait(60) == 0, (tmp_path / "agent.log").read_text()


def _wait_for(client: Client, name: str, log: Path, agent: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert agent.poll() is None, log.read_text()
        try:
            client.device(name)
        except NotFoundError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tflite_linear_model(tmp_path / "model.tflite")


def measured(client: Client, model: Path, **options: object) -> measurement_pb2.Measurement:
    plan = MeasurementOptions(**{**QUICK, **options})  # type: ignore[arg-type]
    handle = client.measure([client.add_model(model)], device="pixel", options=plan)
    job = handle.wait()
    assert job.state == control_pb2.JOB_STATE_RECORDED, job.error.message
    return handle.measurement()


def test_a_phone_is_measured_like_any_device(client: Client, plugged: FakePhone, model: Path) -> None:
    device = client.device("pixel").description
    assert (device.model, device.operating_system, device.python_version) == ("Google Pixel 8", "Android 14", "")
    measurement = measured(client, model)
    variant = measurement.variants[0]
    assert variant.runtime.name == "benchmark_model", "nobody named a runtime, and the phone has this one"
    assert variant.p50_latency.value == pytest.approx(576_856_000)
    assert not variant.p90_latency.HasField("value")
    assert "only the median" in variant.p90_latency.reason
    assert "USB charges the battery" in variant.energy.reason
    assert variant.numeric.verdict == measurement_pb2.NUMERIC_VERDICT_NOT_CHECKED
    assert "outputs are not told on a cable" in variant.numeric.because
    assert {one.provider: one.node_count for one in variant.placements} == {"XNNPACK": 49}
    circumstances = {one.name: one.value for one in measurement.circumstances}
    assert circumstances["android_cpuset"] == "foreground"
    assert measurement.round_count == 3
    assert len(plugged.phones.calls("push")) == 2, "the program and the model, once each"


def test_a_block_in_a_background_cpuset_is_left_out(client: Client, plugged: FakePhone, model: Path) -> None:
    plugged.write("/proc/self/cpuset", "/background\n")
    plan = MeasurementOptions(**QUICK)  # type: ignore[arg-type]
    handle = client.measure([client.add_model(model)], device="pixel", options=plan)
    with pytest.raises(DeviceError, match="background cpuset"):
        handle.wait()
    assert client.job(handle.job_id).state == control_pb2.JOB_STATE_INVALID
    assert handle.measurement().variants[0].failure_status == result_pb2.BLOCK_STATUS_NOT_VALID


def test_an_identity_is_of_the_phone_not_of_the_cable(client: Client, plugged: FakePhone, tmp_path: Path) -> None:
    assert (tmp_path / "agent" / "adb" / SERIAL / "device.json").exists()
    meters = client.device("pixel").description.meters
    assert all(meter.status != common_pb2.READING_STATUS_MEASURED for meter in meters if meter.unit in ("W", "J"))
