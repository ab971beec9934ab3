"""Energy of a window with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.meters.integration import count_energy, integrate_power
from steelyard.meters.trace import Trace

S = 1_000_000_000


def power_trace(power, *, period_s: float = 0.02, length_s: float = 14.0, resolution_w: float | None = None) -> Trace:
    times = np.arange(round(length_s / period_s)) * round(period_s * S)
    return Trace(
        times_ns=times + 10**17,
        power_w=np.broadcast_to(power(times / S), times.shape).astype(float),
        energy_j=np.empty(0),
        power_resolution_w=resolution_w,
    )


def window(start_s: float = 2.0, end_s: float = 12.0) -> tuple[int, int]:
    return 10**17 + round(start_s * S), 10**17 + round(end_s * S)


@pytest.mark.parametrize(
    ("power", "truth_j"),
    [
        (lambda t: 5.0 + 0 * t, 50.0),
        (lambda t: 3.0 + 0.25 * t, 30 + 0.125 * (144 - 4)),
        (
            lambda t: 5 + 2 * np.sin(2 * np.pi * t * 1.3),
            50.0 - 2 / (2.6 * np.pi) * (np.cos(31.2 * np.pi) - np.cos(5.2 * np.pi)),
        ),
    ],
)
def test_a_known_power_gives_its_energy(power, truth_j: float) -> None:
    found = integrate_power(power_trace(power), *window())
    assert found.energy_j == pytest.approx(truth_j, rel=1e-3)
    assert found.sample_count == 501
    assert not found.is_counted


def noisy_energy_over_truth(power_w: float, phase_s: float, seed: int) -> tuple[float, float]:
    """Return the error of a window's energy and its expanded uncertainty (k = 2), both relative."""
    rng = np.random.default_rng(seed)
    trace = power_trace(lambda t: power_w * (1 + rng.normal(0, 0.05, t.shape)))
    found = integrate_power(trace, *window(2 + phase_s, 12 + phase_s))
    assert found.energy_j is not None
    return found.energy_j / (10 * power_w) - 1, 2 * found.uncertainty_j / (10 * power_w)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 500), st.floats(0, 0.02), st.integers(0, 100))
def test_any_phase_of_the_samples_is_within_one_percent(power_w: float, phase_s: float, seed: int) -> None:
    error, _ = noisy_energy_over_truth(power_w, phase_s, seed)
    assert abs(error) <= 0.01


def test_the_uncertainty_covers_the_truth_as_often_as_it_says() -> None:
    """k = 2 is 95 % in the limit; ten blocks of 1 s tell their own spread to a quarter only: 92 to 93 % then."""
    drawn = [noisy_energy_over_truth(5.0, phase_s=seed / 20_000, seed=seed) for seed in range(400)]
    covered = sum(abs(error) <= expanded for error, expanded in drawn) / len(drawn)
    assert 0.90 <= covered <= 0.98
    # Nor is it wide for safety's sake: noise of 5 % in 500 samples is 0.22 % of the energy, one sigma.
    assert np.median([expanded for _, expanded in drawn]) < 0.0065


def test_a_window_that_reaches_past_the_samples_is_extended_by_five_periods_at_most() -> None:
    trace = power_trace(lambda t: 4.0 + 0 * t, length_s=10.0)
    assert integrate_power(trace, *window(1, 10.06)).energy_j == pytest.approx(4 * 9.06)
    late = integrate_power(trace, *window(1, 10.3))
    assert (late.energy_j, late.reason) == (None, "the last sample came 0.32 s before the window's end")
    early = integrate_power(trace, *window(-0.3, 9))
    assert (early.energy_j, early.reason) == (None, "the first sample came 0.3 s after the window's start")


def test_a_gap_is_never_bridged() -> None:
    trace = power_trace(lambda t: 4.0 + 0 * t)
    kept = np.r_[0:300, 320:700]
    gappy = Trace(times_ns=trace.times_ns[kept], power_w=trace.power_w[kept], energy_j=trace.energy_j)
    found = integrate_power(gappy, *window())
    assert (found.energy_j, found.reason) == (None, "no sample for 0.42 s, longer than 0.1 s")
    assert integrate_power(gappy, *window(7, 12)).energy_j == pytest.approx(20.0)


def test_too_few_samples_are_no_energy() -> None:
    found = integrate_power(power_trace(lambda t: 4.0 + 0 * t, period_s=2.0, length_s=60), *window())
    assert (found.energy_j, found.reason) == (None, "only 6 samples in a window of 10 s")
    nothing = Trace(times_ns=np.empty(0, np.int64), power_w=np.empty(0), energy_j=np.empty(0))
    assert integrate_power(nothing, *window()).reason == "the meter tells no power"
    with pytest.raises(ValueError, match="does not last"):
        integrate_power(power_trace(lambda t: t), 5, 5)


def test_the_steps_of_a_scale_do_not_average_out() -> None:
    flat = integrate_power(power_trace(lambda t: 5.0 + 0 * t, resolution_w=1.0), *window(), swing_w=0.0)
    assert flat.uncertainty_j == pytest.approx(10 / np.sqrt(12))


def counter_trace(energy, *, period_s: float = 1.0, length_s: float = 400.0, resolution_j: float = 3.6) -> Trace:
    times = np.arange(round(length_s / period_s)) * round(period_s * S)
    counted = np.floor(energy(times / S) / resolution_j) * resolution_j
    return Trace(times_ns=times + 10**17, power_w=np.empty(0), energy_j=counted, energy_resolution_j=resolution_j)


def test_a_counter_gives_the_energy_of_a_long_window_within_its_steps() -> None:
    found = count_energy(counter_trace(lambda t: 1e6 + 12.0 * t), *window(20, 350))
    assert found.energy_j == pytest.approx(12 * 330, rel=0.01)
    assert abs(found.energy_j - 12 * 330) <= 2 * found.uncertainty_j
    assert found.is_counted


def test_a_counter_with_steps_of_a_watt_hour_says_how_little_it_knows() -> None:
    found = count_energy(counter_trace(lambda t: 1e7 + 12.0 * t, resolution_j=3600.0), *window(20, 350))
    assert found.energy_j is None or found.uncertainty_j > 1000


@pytest.mark.parametrize(
    ("energy", "reason"),
    [
        (lambda t: np.where(t < 100, 1000.0 + t, t), "went backwards"),
        (lambda t: 5.0 + 0 * t, "did not move"),
    ],
)
def test_a_counter_that_cannot_be_right_is_no_energy(energy, reason: str) -> None:
    found = count_energy(counter_trace(energy), *window(20, 350))
    assert found.energy_j is None
    assert reason in found.reason


def test_a_meter_without_a_counter_says_so() -> None:
    assert count_energy(power_trace(lambda t: t), *window()).reason == "the meter has no counter"
