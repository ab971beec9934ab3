"""What a request with meters becomes, and that their traces are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.analysis.duration import estimated_duration_ms
from steelyard.control.energy_plan import (
    EnergyOptions,
    complete_energy,
    energy_round_count,
    reads_energy,
    settle_window,
)
from steelyard.control.measurement_job import _longest_silence_s
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.errors import NotFoundError, UsageError
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2
from tests.controller.store import messages


def completed(
    *meters: str, window_ms: int = 0, device: common_pb2.DeviceDescription | None = None, **fields: object
) -> control_pb2.SubmitMeasurementRequest:
    request = control_pb2.SubmitMeasurementRequest(meters=meters, **fields)
    request.plan.artifacts.add(label="a")
    if window_ms:
        request.plan.energy.window_ms = window_ms
    complete_energy(request, device or common_pb2.DeviceDescription())
    return request


def test_without_a_meter_there_is_a_short_window_and_no_marker() -> None:
    energy = completed().plan.energy
    assert energy.window_ms == 10_000
    assert not energy.HasField("marker")
    assert completed(window_ms=700).plan.energy.window_ms == 700


def test_the_devices_own_sensors_say_how_long_a_window_is() -> None:
    pi5 = common_pb2.DeviceDescription(least_energy_window_ms=31_500)
    assert completed(device=pi5).plan.energy.window_ms == 31_500
    assert completed("shelly:http://192.168.1.20", device=pi5).plan.energy.window_ms == 330_000
    energy = completed(device=pi5).plan.energy
    # A slow model's window goes on for 100 inferences, two minutes at most; one that was asked for does not.
    assert (energy.least_inference_count, energy.longest_window_ms) == (100, 120_000)
    asked = completed(device=pi5, window_ms=5000).plan.energy
    assert (asked.window_ms, asked.least_inference_count, asked.longest_window_ms) == (5000, 0, 0)


def test_a_device_that_asks_for_a_year_gets_two_minutes() -> None:
    absurd = common_pb2.DeviceDescription(least_energy_window_ms=2**62)
    assert completed(device=absurd).plan.energy.window_ms == 120_000
    assert completed(device=common_pb2.DeviceDescription(least_energy_window_ms=-5)).plan.energy.window_ms == 10_000


def test_a_device_that_never_described_itself_is_asked_when_the_job_runs() -> None:
    request = control_pb2.SubmitMeasurementRequest()
    complete_energy(request, None)
    assert (request.plan.energy.window_ms, request.plan.energy.idle_ms) == (0, 30_000)
    settle_window(request, common_pb2.DeviceDescription(least_energy_window_ms=60_000))
    assert request.plan.energy.window_ms == 60_000


@pytest.mark.parametrize(
    ("fields", "tells", "count"),
    [
        ({}, True, 3),
        ({"energy_round_count": 5}, True, 5),
        ({"without_energy": True}, True, 0),
        # No sensor and no meter: not one idle block.
        ({}, False, 0),
        ({"energy_round_count": 5}, False, 0),
    ],
)
def test_energy_rounds_run_only_where_something_reads_them(fields, tells: bool, count: int) -> None:
    assert energy_round_count(completed(**fields), device_tells=tells) == count


def test_a_meter_outside_is_enough_for_energy_rounds() -> None:
    assert energy_round_count(completed("otii:127.0.0.1:1905"), device_tells=False) == 3


def test_a_device_reads_energy_when_a_meter_of_its_own_gave_a_value() -> None:
    device = common_pb2.DeviceDescription()
    device.meters.add(unit="Cel", value=40.0, status=common_pb2.READING_STATUS_MEASURED)
    device.meters.add(unit="W", reason="no sensor", status=common_pb2.READING_STATUS_UNAVAILABLE)
    assert not reads_energy(device)
    device.meters.add(unit="J", value=1.0, status=common_pb2.READING_STATUS_MEASURED)
    assert reads_energy(device)
    device.emulated_by = "qemu-user on x86_64"
    assert not reads_energy(device)


def test_the_slowest_meter_says_how_long_windows_and_pulses_are() -> None:
    quick = completed("otii:127.0.0.1:1905").plan.energy
    assert (quick.window_ms, quick.marker.pulse_ms, quick.marker.pulse_count) == (10_000, 200, 4)
    slow = completed("otii:127.0.0.1:1905", "shelly:http://192.168.1.20").plan.energy
    assert (slow.window_ms, slow.marker.pulse_ms) == (330_000, 3000)
    asked = completed("shelly:http://192.168.1.20", window_ms=60_000)
    assert asked.plan.energy.window_ms == 60_000
    # 0.55 s of overhead, 11 pulses and rests of 3 s, the window; and staging.
    assert estimated_duration_ms(asked, 0, energy_round_count=1) == 1000 + 550 + 33_000 + 60_000
    asked.plan.block_timeout_ms = 1000
    assert _longest_silence_s(asked.plan) == 1 + 60 + 33 + 10


def test_the_estimate_counts_the_rounds_with_their_baselines_and_the_rest_of_a_loaded_model() -> None:
    request = completed()
    without = estimated_duration_ms(request, 0)
    idle_ms, model_ms = 550 + 30_000 + 2000, 550 + 10_000 + 5000 + 2000
    assert estimated_duration_ms(request, 0, energy_round_count=3) == without + 3 * (2 * idle_ms + model_ms)
    request.plan.block_timeout_ms = 1000
    # The window of a slow model may become two minutes.
    assert _longest_silence_s(request.plan) == 1 + 120 + 10
    request.plan.energy.longest_window_ms = 0
    assert _longest_silence_s(request.plan) == 1 + 32 + 10


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
    artifact = control_pb2.Artifact(digest="a" * 64, name="m", format=common_pb2.ARTIFACT_FORMAT_ONNX)
    assert not build_plan([artifact], MeasurementOptions()).HasField("energy")
    energy = build_plan([artifact], MeasurementOptions(energy=EnergyOptions(window_s=0.5))).energy
    assert (energy.window_ms, energy.idle_ms) == (500, 30_000)
    energy = build_plan([artifact], MeasurementOptions(energy=EnergyOptions(idle_s=0.0))).energy
    assert (energy.window_ms, energy.idle_ms) == (0, 0)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"window_s": 4000.0}, r"an energy window of 4000\.0 s is not between 0\.1 and 3600"),
        ({"idle_s": 0.01}, r"an idle window of 0\.01 s is not between 0\.1 and 3600"),
        ({"round_count": 101}, "101 energy rounds are not a number from 0 to 100"),
        ({"round_count": -1}, "-1 energy rounds"),
    ],
)
def test_an_energy_pass_that_makes_no_sense_is_refused(options, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        EnergyOptions(**options)


def test_a_meter_without_an_energy_pass_is_refused() -> None:
    with pytest.raises(UsageError, match="leave out --meter, or --energy-rounds 0"):
        completed("otii:127.0.0.1:1905", without_energy=True)
    with pytest.raises(UsageError, match="101 energy rounds are more than 100"):
        completed(energy_round_count=101)


def test_options_say_how_many_rounds_and_whether_there_are_any() -> None:
    for count, told in ((None, (0, False)), (0, (0, True)), (5, (5, False))):
        request = control_pb2.SubmitMeasurementRequest()
        EnergyOptions(round_count=count).add_to(request)
        assert (request.energy_round_count, request.without_energy) == told


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
