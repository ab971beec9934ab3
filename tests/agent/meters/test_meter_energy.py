from __future__ import annotations

from math import cos, pi, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard_agent.meters.energy import (
    EnergyResult,
    Sample,
    Uncertainty,
    Window,
    integrate_counter,
    integrate_power,
    window_shortfalls,
)

S = 1_000_000_000
RANGE = 262_143_328_850


def counter(power_w, seconds, *, start_counts=0, range_max=RANGE, step_s=0.02, first_s=0.0):
    """Samples of a counter of microjoules under a constant power."""
    count = int(seconds / step_s) + 1
    return [
        Sample(
            time_ns=round((first_s + i * step_s) * S),
            value=(start_counts + round(power_w * i * step_s * 1e6)) % (range_max + 1),
        )
        for i in range(count)
    ]


def test_a_counter_gives_the_energy_of_a_constant_power():
    window = Window(start_ns=1 * S, end_ns=21 * S)
    result = integrate_counter(counter(7.5, 22), range_max=RANGE, window=window, inference_count=1000)
    assert result.energy_j == pytest.approx(150.0, rel=1e-6)
    assert result.status == "complete"
    assert result.uncertainty.statistical_j == pytest.approx(0, abs=1e-3)


def test_a_counter_that_wraps_within_the_window_loses_nothing():
    range_max = 65_532_610_987
    samples = counter(15.0, 22, start_counts=range_max - 100_000_000, range_max=range_max)
    assert min(sample.value for sample in samples) < 100_000_000
    window = Window(start_ns=1 * S, end_ns=21 * S)
    result = integrate_counter(samples, range_max=range_max, window=window, inference_count=1000)
    assert result.energy_j == pytest.approx(300.0, rel=1e-6)


def test_one_count_over_the_range_is_one_count():
    samples = [Sample(time_ns=0, value=100), Sample(time_ns=S, value=0)]
    result = integrate_counter(samples, range_max=100, window=Window(start_ns=0, end_ns=S))
    assert result.energy_j == pytest.approx(1e-6)


@settings(max_examples=60, deadline=None)
@given(
    power_w=st.floats(0.5, 400),
    start=st.integers(0, RANGE),
    offset_ms=st.integers(0, 900),
    range_max=st.sampled_from([RANGE, 65_532_610_987, 2_000_000_000]),
)
def test_wherever_a_counter_starts_its_energy_is_within_one_percent(power_w, start, offset_ms, range_max):
    samples = counter(power_w, 13, start_counts=start % (range_max + 1), range_max=range_max, step_s=0.05)
    window = Window(start_ns=offset_ms * 1_000_000, end_ns=offset_ms * 1_000_000 + 12 * S)
    result = integrate_counter(samples, range_max=range_max, window=window)
    assert result.energy_j == pytest.approx(power_w * 12, rel=0.01)


def test_a_counter_edge_without_a_sample_beyond_it_is_extended_a_little():
    samples = counter(10.0, 12, first_s=0.05)
    result = integrate_counter(samples, range_max=RANGE, window=Window(start_ns=0, end_ns=12 * S))
    assert result.energy_j == pytest.approx(120.0, rel=1e-3)


def test_a_counter_that_began_late_or_ended_early_is_incomplete():
    window = Window(start_ns=0, end_ns=12 * S)
    late = integrate_counter(counter(10.0, 12, first_s=1.0), range_max=RANGE, window=window)
    assert late.energy_j is None
    assert "first sample came 1 s after the window's start" in late.reason
    early = integrate_counter(counter(10.0, 9), range_max=RANGE, window=window)
    assert "last sample came 3 s before the window's end" in early.reason
    assert early.status == "incomplete"


def test_a_counter_may_pause_but_not_for_more_than_half_a_minute():
    samples = [sample for sample in counter(10.0, 80, step_s=0.5) if not 10 * S < sample.time_ns < 30 * S]
    window = Window(start_ns=0, end_ns=80 * S)
    assert integrate_counter(samples, range_max=RANGE, window=window).energy_j == pytest.approx(800.0)
    samples = [sample for sample in samples if not 10 * S < sample.time_ns < 50 * S]
    assert "no sample for 40 s" in integrate_counter(samples, range_max=RANGE, window=window).reason


def test_a_counter_that_was_reset_is_not_taken_for_a_wrap():
    samples = counter(10.0, 12, start_counts=5_000_000_000)
    samples[300:] = [Sample(time_ns=s.time_ns, value=s.value - 5_000_000_000) for s in samples[300:]]
    result = integrate_counter(samples, range_max=RANGE, window=Window(start_ns=0, end_ns=12 * S))
    assert result.energy_j is None
    assert "it was reset or misread" in result.reason


@pytest.mark.parametrize("samples", [[], [Sample(time_ns=0, value=1)]])
def test_too_few_samples_are_incomplete(samples):
    window = Window(start_ns=0, end_ns=S)
    assert "samples in a window" in integrate_counter(samples, range_max=10, window=window).reason
    assert "samples in a window" in integrate_power(samples, window=window, period_ns=S).reason


def power(function, seconds, *, period_s=0.02, first_s=0.0):
    times = [first_s + i * period_s for i in range(int((seconds - first_s) / period_s) + 1)]
    return [Sample(time_ns=round(t * S), value=function(t)) for t in times]


def test_power_that_swings_is_integrated_within_one_percent():
    samples = power(lambda t: 5 + 3 * sin(2 * pi * t / 0.7), 16)
    window = Window(start_ns=2 * S + 123_456_789, end_ns=14 * S + 987_654_321)
    low, high = window.start_ns / S, window.end_ns / S
    exact = 5 * (high - low) + 3 * 0.7 / (2 * pi) * (cos(2 * pi * low / 0.7) - cos(2 * pi * high / 0.7))
    result = integrate_power(samples, window=window, period_ns=20_000_000, inference_count=500)
    assert result.energy_j == pytest.approx(exact, rel=0.001)
    assert result.status == "complete"
    assert result.uncertainty.expanded_j > 0


def test_a_ramp_between_samples_is_exact():
    samples = power(lambda t: 2 * t, 12, period_s=0.5)
    result = integrate_power(samples, window=Window(start_ns=3 * S // 4, end_ns=10 * S), period_ns=S // 2)
    assert result.energy_j == pytest.approx(100 - 0.75**2, rel=1e-9)


def test_power_is_extended_to_both_edges():
    samples = power(lambda _: 4.0, 11.95, first_s=0.05)
    result = integrate_power(samples, window=Window(start_ns=0, end_ns=12 * S), period_ns=20_000_000)
    assert result.energy_j == pytest.approx(48.0, rel=1e-9)


def test_a_gap_of_more_than_five_periods_is_never_bridged():
    window = Window(start_ns=0, end_ns=12 * S)
    samples = power(lambda _: 4.0, 12)
    small = [sample for sample in samples if not 5 * S < sample.time_ns < 5 * S + 90_000_000]
    assert integrate_power(small, window=window, period_ns=20_000_000).energy_j == pytest.approx(48.0)
    large = [sample for sample in samples if not 5 * S < sample.time_ns < 5 * S + 130_000_000]
    result = integrate_power(large, window=window, period_ns=20_000_000)
    assert result.energy_j is None
    assert "longer than the 0.1 s allowed" in result.reason


@pytest.mark.parametrize(("seconds", "first_s", "part"), [(12, 0.2, "after the window's start"), (11, 0, "before the")])
def test_a_missing_edge_is_incomplete(seconds, first_s, part):
    samples = power(lambda _: 4.0, seconds, first_s=first_s)
    result = integrate_power(samples, window=Window(start_ns=0, end_ns=12 * S), period_ns=20_000_000)
    assert part in result.reason


def test_samples_far_from_the_window_do_not_count():
    samples = power(lambda t: 4.0 if 100 <= t <= 113 else 1000.0, 200, period_s=0.02)
    result = integrate_power(samples, window=Window(start_ns=101 * S, end_ns=112 * S), period_ns=20_000_000)
    assert result.energy_j == pytest.approx(44.0)
    assert result.sample_count == 551


def test_a_short_window_is_of_low_confidence_and_says_why():
    samples = power(lambda _: 4.0, 6)
    window = Window(start_ns=0, end_ns=5 * S)
    result = integrate_power(samples, window=window, period_ns=20_000_000, inference_count=7)
    assert result.status == "low_confidence"
    assert result.shortfalls == (
        "the window lasted 5.0 s, less than 10 s",
        "it held 7 inferences, fewer than 100",
        "it held 251 samples, fewer than 300",
    )
    assert window_shortfalls(duration_s=10, sample_count=300, inference_count=None) == ()


def test_uncertainty_of_what_is_not_known_is_not_zero():
    assert Uncertainty(edge_j=1.0, statistical_j=None).expanded_j is None
    assert Uncertainty(edge_j=3.0, statistical_j=4.0).expanded_j == pytest.approx(10.0)
    assert Uncertainty(edge_j=2.0, statistical_j=3.0, systematic_j=6.0).expanded_j == pytest.approx(14.0)
    result = integrate_power(
        [Sample(time_ns=0, value=1), Sample(time_ns=S, value=1)], window=Window(start_ns=0, end_ns=S), period_ns=S
    )
    assert result.uncertainty.statistical_j is None
    assert result.uncertainty.systematic_j is None


def test_nonsense_is_refused_in_a_sentence():
    window = Window(start_ns=0, end_ns=S)
    backwards = [Sample(time_ns=5, value=1), Sample(time_ns=5, value=1)]
    with pytest.raises(ValueError, match="do not rise in time"):
        integrate_power(backwards, window=window, period_ns=1)
    with pytest.raises(ValueError, match="period 0 ns"):
        integrate_power([], window=window, period_ns=0)
    with pytest.raises(ValueError, match="outside 0 to 10"):
        integrate_counter([Sample(time_ns=0, value=11)], range_max=10, window=window)
    with pytest.raises(ValueError, match="not after its start"):
        Window(start_ns=1, end_ns=1)
    with pytest.raises(ValueError, match="not finite"):
        Sample(time_ns=0, value=float("nan"))
    with pytest.raises(ValueError, match="does not fit"):
        EnergyResult(energy_j=None)
