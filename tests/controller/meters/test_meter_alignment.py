"""Planted clocks: where the marker is found, how far off that may be, and what must not be taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.meters.alignment import LEAST_PEAK, Marker, align, correlations
from steelyard.meters.trace import Trace
from tests.controller.meters.planted_traces import LOAD_W, MS, REST_W, Device, S

PLUG = Device(pulse_ms=3000, window_ms=330_000, warm_ms=2000)


def error_ms(device: Device, trace: Trace, lag_ms: float = 0.0) -> tuple[float, float]:
    """How far the offset that was found is from the planted one, and its expanded uncertainty (k = 2)."""
    found = align(trace.times_ns, trace.power_w, device.marker())
    assert found.offset_ns is not None, found.reason
    return (found.offset_ns - device.offset_ns) / MS - lag_ms, 2 * found.uncertainty_ns / MS


@pytest.mark.parametrize("period_ms", [1, 5, 20, 50])
@pytest.mark.parametrize("noise_w", [0.0, 0.5, 1.5])
def test_a_fast_meter_places_the_window_within_its_uncertainty(period_ms: float, noise_w: float) -> None:
    device = Device()
    off, expanded = error_ms(device, device.trace(period_ms=period_ms, noise_w=noise_w, jitter=0.2, seed=3))
    assert abs(off) <= expanded
    assert expanded <= period_ms + 4


@settings(max_examples=40, deadline=None)
@given(
    shift_ns=st.integers(-(10**15), 10**15),
    phase_ns=st.integers(0, 20 * MS),
    seed=st.integers(0, 1000),
)
def test_whatever_the_offset_of_the_clocks_it_is_found(shift_ns: int, phase_ns: int, seed: int) -> None:
    device = Device(offset_ns=10**16 + shift_ns, start_ns=5 * S + phase_ns)
    off, expanded = error_ms(device, device.trace(noise_w=0.8, jitter=0.1, seed=seed))
    assert abs(off) <= 1.5 * expanded


def test_a_plug_at_one_hertz_is_aligned_by_pulses_of_three_seconds() -> None:
    for phase_ms in range(0, 1000, 130):
        device = Device(pulse_ms=3000, window_ms=330_000, start_ns=5_000 * S + phase_ms * MS)
        trace = device.trace(period_ms=1000, jitter=0.03, margin_ms=9000, resolution_w=0.1, seed=phase_ms)
        off, expanded = error_ms(device, trace)
        assert abs(off) <= expanded < 700


def test_a_constant_lag_of_the_meter_is_part_of_the_offset() -> None:
    device = Device()
    off, expanded = error_ms(device, device.trace(lag_ms=850), lag_ms=850)
    assert abs(off) <= expanded


def test_a_meter_that_averages_over_two_periods_is_aligned_all_the_same() -> None:
    device = Device()
    off, expanded = error_ms(device, device.trace(mean_over_ms=40))
    assert abs(off) <= expanded


def test_a_slow_drift_of_power_does_not_move_the_marker() -> None:
    device = Device()
    trace = device.trace(noise_w=0.2)
    drifting = Trace(
        times_ns=trace.times_ns,
        power_w=trace.power_w + np.linspace(0, 2.0, trace.power_w.size),
        energy_j=trace.energy_j,
    )
    off, expanded = error_ms(device, drifting)
    assert abs(off) <= expanded


def test_the_swing_is_the_power_of_load_above_rest() -> None:
    device = Device()
    trace = device.trace(period_ms=2)
    assert align(trace.times_ns, trace.power_w, device.marker()).swing_w == pytest.approx(LOAD_W - REST_W, rel=0.03)


def test_a_trace_without_the_marker_says_how_near_it_came() -> None:
    device = Device()
    rng = np.random.default_rng(7)
    times = device.trace().times_ns
    noise = 5 + rng.normal(0, 1, times.size)
    found = align(times, noise, device.marker())
    assert found.offset_ns is None
    assert found.reason.startswith("the marker was not found in the trace: peak 0.")
    still = align(times, np.full(times.size, 5.0), device.marker())
    assert still.reason.startswith("the marker was not found in the trace: peak 0.00")
    assert still.reason.endswith("see that the meter feeds this device, and that nothing else on it draws power")


@pytest.mark.parametrize("period_pulses", [0.5, 1.0, 2.0, 2.1, 3.0, 4.0, 6.0, 12.0])
@pytest.mark.parametrize("duty", [0.3, 0.5, 0.7])
def test_a_periodic_load_never_passes_for_the_marker(period_pulses: float, duty: float) -> None:
    device = Device()
    times = device.trace(period_ms=10).times_ns
    phase = (times / (device.pulse_ms * MS * period_pulses)) % 1
    power = REST_W + (LOAD_W - REST_W) * (phase < duty)
    found = align(times, power, device.marker())
    assert found.offset_ns is None, (found.peak, period_pulses, duty)


def test_a_marker_that_is_there_twice_is_not_guessed_at() -> None:
    device = Device(window_ms=10_000)
    trace = device.trace()
    again = int(8 * S / (20 * MS))
    power = trace.power_w.copy()
    start = int((device.warm_ms + 3000) / 20)
    length = int(14 * device.pulse_ms / 20)
    power[start + again : start + again + length] = power[start : start + length]
    found = align(trace.times_ns, power, device.marker())
    assert found.offset_ns is None
    assert found.reason.startswith("the marker was found twice in the trace: peak 0.")
    # When it is known where to look there is one left.
    begin = device.start_ns + device.offset_ns
    assert align(trace.times_ns, power, device.marker(), between_ns=(begin, begin + 7 * S)).offset_ns is not None


def test_a_trace_that_begins_too_late_or_holds_too_little_is_said() -> None:
    device = Device()
    trace = device.trace()
    late = slice(int(np.searchsorted(trace.times_ns, device.marker().edges_ns[3] + device.offset_ns)), None)
    found = align(trace.times_ns[late], trace.power_w[late], device.marker())
    assert found.offset_ns is None
    assert align(trace.times_ns[:50], trace.power_w[:50], device.marker()).reason.startswith("the trace does not reach")
    assert align(trace.times_ns[:1], trace.power_w[:1], device.marker()).reason == "the trace holds 1 samples"
    slow = device.trace(period_ms=500)
    assert "too seldom for pulses of 0.2 s" in align(slow.times_ns, slow.power_w, device.marker()).reason


@pytest.mark.parametrize(
    "edges", [(), (1, 2), (1, 2, 3), (1, 3, 2, 4), (1, 2, 3, 11), (1, 1, 2, 3)], ids=lambda edges: str(len(edges))
)
def test_edges_that_do_not_rise_to_their_window_are_refused(edges: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="edges of a marker"):
        Marker(edges_ns=edges, window_start_ns=10, window_end_ns=20)


def test_correlations_are_pearsons() -> None:
    rng = np.random.default_rng(1)
    values, pattern = rng.normal(3, 2, 60), rng.normal(0, 1, 12)
    expected = [np.corrcoef(values[start : start + 12], pattern)[0, 1] for start in range(49)]
    np.testing.assert_allclose(correlations(values, pattern), expected, atol=1e-12)
    assert np.all(correlations(np.full(60, 7.3), pattern) == 0)
    assert LEAST_PEAK > 0.72
