"""What a request with meters becomes, and that their traces are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.analysis.duration import estimated_duration_ms
from steelyard.control.energy_plan import complete_energy
from steelyard.control.measurement_job import _longest_silence_s
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import control_pb2, plan_pb2
from tests.controller.store import messages


def completed(*meters: str, window_ms: int = 0) -> control_pb2.SubmitMeasurementRequest:
    request = control_pb2.SubmitMeasurementRequest(meters=meters)
    request.plan.artifacts.add(label="a")
    request.plan.energy.window_ms = window_ms
    complete_energy(request)
    return request


def test_without_a_meter_there_is_a_short_window_and_no_marker() -> None:
    energy = completed().plan.energy
    assert energy.window_ms == 10_000
    assert not energy.HasField("marker")
    assert completed(window_ms=700).plan.energy.window_ms == 700


def test_the_slowest_meter_says_how_long_windows_and_pulses_are() -> None:
    quick = completed("otii:127.0.0.1:1905").plan.energy
    assert (quick.window_ms, quick.marker.pulse_ms, quick.marker.pulse_count) == (10_000, 200, 4)
    slow = completed("otii:127.0.0.1:1905", "shelly:http://192.168.1.20").plan.energy
    assert (slow.window_ms, slow.marker.pulse_ms) == (330_000, 3000)
    asked = completed("shelly:http://192.168.1.20", window_ms=60_000)
    assert asked.plan.energy.window_ms == 60_000
    # 0.55 s of overhead, 11 pulses and rests of 3 s, the window; and staging.
    assert estimated_duration_ms(asked, 0) == 1000 + 550 + 33_000 + 60_000
    asked.plan.block_timeout_ms = 1000
    assert _longest_silence_s(asked.plan) == 1 + 60 + 33 + 10


def test_a_device_may_be_silent_through_the_window_of_the_plans_mode() -> None:
    plan = plan_pb2.Plan(block_timeout_ms=1000, timing=plan_pb2.TimingSpec(sample_window_ms=200))
    assert _longest_silence_s(plan) == pytest.approx(11.2)
    plan.mode.CopyFrom(plan_pb2.ModeSpec(mode=plan_pb2.MODE_SUSTAINED, duration_ms=600_000))
    assert _longest_silence_s(plan) == 1 + 600 + 10
    plan.mode.CopyFrom(plan_pb2.ModeSpec(mode=plan_pb2.MODE_PACED, rate_hz=0.5))
    assert _longest_silence_s(plan) == 1 + 20 + 10


@pytest.mark.parametrize(
    ("meters", "part"),
    [
        (("shely:http://h",), "did you mean 'shelly'"),
        (("shelly:h",), "shelly:http://192.168.1.20"),
        (("tasmota:http://h", "tasmota:http://h"), "named twice"),
        (tuple(f"tasmota:http://h{index}" for index in range(9)), "9 meters are more than 8"),
    ],
)
def test_meters_that_make_no_sense_are_refused_before_anything_runs(meters: tuple[str, ...], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        completed(*meters)


def test_an_energy_window_is_part_of_the_plan_only_when_it_was_asked_for() -> None:
    from steelyard_protocol.v1 import common_pb2

    artifact = control_pb2.Artifact(digest="a" * 64, name="m", format=common_pb2.ARTIFACT_FORMAT_ONNX)
    assert not build_plan([artifact], MeasurementOptions()).HasField("energy")
    assert build_plan([artifact], MeasurementOptions(energy_window_s=0.5)).energy.window_ms == 500
    with pytest.raises(UsageError, match=r"an energy window of 4000 s is not between 0\.1 and 3600"):
        MeasurementOptions(energy_window_s=4000)


def test_traces_of_a_job_are_listed_in_the_order_in_which_they_were_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    try:
        store.create_job(messages.job(), b"request", "request-1")
        job_id = messages.job().job_id
        for meter, digest in (("one:", "a" * 64), ("two:", "b" * 64), ("one:", "c" * 64)):
            store.record_trace(job_id, meter, digest)
        assert [(one.meter, one.trace_digest[0]) for one in store.list_traces(job_id)] == [
            ("one:", "a"),
            ("two:", "b"),
            ("one:", "c"),
        ]
        with pytest.raises(NotFoundError):
            store.record_trace("no-such-job", "one:", "a" * 64)
        with pytest.raises(UsageError, match="SHA-256"):
            store.record_trace(job_id, "one:", "nothing")
    finally:
        store.close()
