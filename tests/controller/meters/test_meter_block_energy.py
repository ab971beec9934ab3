"""The energy of a whole block: aligned, integrated, with an uncertainty that holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.meters.block_energy import block_energy
from steelyard.meters.trace import Trace
from steelyard_protocol.v1 import result_pb2
from tests.controller.meters.planted_traces import MS, Device, S


@pytest.mark.parametrize("noise_w", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("lag_ms", [0, 300])
def test_joules_an_inference_are_within_one_percent_of_the_planted_ones(noise_w: float, lag_ms: float) -> None:
    device = Device()
    found = block_energy(device.trace(noise_w=noise_w, lag_ms=lag_ms), device.window(1000), device.heard())
    assert found.energy_j == pytest.approx(device.energy_j / 1000, rel=0.01)
    assert abs(found.energy_j - device.energy_j / 1000) <= found.expanded_uncertainty_j
    assert found.how.startswith("aligned by the load marker, peak 0.9")
    assert found.shortfalls == ()


def test_a_plug_gives_the_energy_of_a_long_window() -> None:
    device = Device(pulse_ms=3000, window_ms=330_000)
    trace = device.trace(period_ms=1000, jitter=0.03, margin_ms=9000, resolution_w=0.1)
    found = block_energy(trace, device.window(5000), device.heard(before_ms=3000, after_ms=3000))
    assert found.energy_j == pytest.approx(device.energy_j / 5000, rel=0.01)
    assert abs(found.energy_j - device.energy_j / 5000) <= found.expanded_uncertainty_j
    assert found.shortfalls == ()


def test_the_counter_is_taken_where_it_knows_more() -> None:
    device = Device(pulse_ms=3000, window_ms=330_000)
    plain = device.trace(period_ms=1000, margin_ms=9000, resolution_w=1.0)
    counted = device.rest_w * (plain.times_ns - plain.times_ns[0]) / S
    counted += (device.load_w - device.rest_w) * device.load_until(plain.times_ns - device.offset_ns) / S

    def with_counter(resolution_j: float) -> Trace:
        return Trace(
            times_ns=plain.times_ns,
            power_w=plain.power_w,
            energy_j=np.floor(counted / resolution_j) * resolution_j,
            power_resolution_w=1.0,
            energy_resolution_j=resolution_j,
        )

    fine = block_energy(with_counter(3.6), device.window(), device.heard())
    coarse = block_energy(with_counter(3600.0), device.window(), device.heard())
    assert (fine.is_counted, coarse.is_counted) == (True, False)
    assert fine.energy_j == pytest.approx(device.energy_j / 1000, rel=0.01)
    assert coarse.energy_j == pytest.approx(device.energy_j / 1000, rel=0.01)


def counter_only(device: Device, resolution_j: float = 3.6) -> Trace:
    plain = device.trace(period_ms=1000, margin_ms=9000)
    counted = 8.0 * (plain.times_ns - plain.times_ns[0]) / S
    return Trace(
        times_ns=plain.times_ns,
        power_w=np.empty(0),
        energy_j=np.floor(counted / resolution_j) * resolution_j,
        energy_resolution_j=resolution_j,
    )


def test_a_meter_that_only_counts_is_placed_by_when_the_block_was_heard_of() -> None:
    device = Device(window_ms=330_000)
    found = block_energy(counter_only(device), device.window(), device.heard())
    assert found.energy_j == pytest.approx(device.energy_j / 1000, rel=0.01)
    assert found.how.startswith("placed by when the block was heard of (the meter tells no power")
    assert found.is_counted
    silent = block_energy(counter_only(device), device.window(), None)
    assert silent.reason.endswith("when the block ran was not heard of")


def test_a_short_window_without_a_usable_marker_is_not_guessed_at() -> None:
    device = Device()
    slow = block_energy(device.trace(period_ms=1000), device.window(), device.heard())
    assert slow.energy_j is None
    assert slow.reason == (
        "the meter has something new every 1 s, too seldom for a load marker with pulses of 0.2 s, and a window of "
        "10 s cannot be placed without one: measure at least 300 s (--energy-window 6m)"
    )
    unmarked = device.window()
    del unmarked.marker_edges_ns[:]
    assert block_energy(device.trace(), unmarked, device.heard()).reason.startswith("no load marker ran")


def test_what_the_window_lacked_is_said() -> None:
    device = Device(window_ms=2000)
    found = block_energy(device.trace(), device.window(50), device.heard())
    assert found.energy_j == pytest.approx(device.energy_j / 50, rel=0.01)
    assert found.shortfalls == (
        "the window lasted 2.0 s, less than 10 s",
        "it held 50 inferences, fewer than 100",
        "it held 100 samples, fewer than 300",
    )


def test_a_marker_elsewhere_in_the_trace_is_not_this_blocks() -> None:
    device = Device()
    heard = device.heard()
    heard.begin_ns += 60 * S
    heard.end_ns += 60 * S
    found = block_energy(device.trace(margin_ms=90_000), device.window(), heard)
    assert found.energy_j is None
    assert "the marker was not found" in found.reason


@pytest.mark.parametrize(
    ("window", "part"),
    [
        (result_pb2.EnergyWindow(), "no window with inferences"),
        (result_pb2.EnergyWindow(start_ns=1, end_ns=20 * S), "no window with inferences"),
        (
            result_pb2.EnergyWindow(start_ns=9, end_ns=20 * S, inference_count=1, marker_edges_ns=[5, 4, 6, 7]),
            "load marker makes no sense",
        ),
    ],
)
def test_a_window_that_makes_no_sense_is_said(window: result_pb2.EnergyWindow, part: str) -> None:
    assert part in block_energy(Device().trace(), window, None).reason


def test_a_meter_that_told_nothing_or_stopped_early_is_said() -> None:
    device = Device()
    nothing = Trace(times_ns=np.empty(0, np.int64), power_w=np.empty(0), energy_j=np.empty(0))
    assert block_energy(nothing, device.window(), device.heard()).reason.startswith("the meter told nothing")
    trace = device.trace()
    once = Trace(times_ns=trace.times_ns[:1], power_w=trace.power_w[:1], energy_j=trace.energy_j)
    assert block_energy(once, device.window(), device.heard()).reason == "the trace holds 1 samples"
    end = int(np.searchsorted(trace.times_ns, device.marker().window_start_ns + device.offset_ns + 3 * S))
    cut = Trace(times_ns=trace.times_ns[:end], power_w=trace.power_w[:end], energy_j=trace.energy_j)
    assert "before the window's end" in block_energy(cut, device.window(), device.heard()).reason
    assert device.marker().pulse_ns == 200 * MS
