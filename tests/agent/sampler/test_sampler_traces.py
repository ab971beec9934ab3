"""Energy of traces with known answers, by the whole path: the sampler's lines, the recording, the reading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.energy_traces import FOLDER, INFERENCES, all_traces, energy_error, load_trace, read_trace, trace_text

NAMES = sorted(path.stem for path in FOLDER.glob("*.csv"))
REFUSED = ["counter_reset", "gap", "missing_edge_long"]
# Ten instants a second do not tell the mean of a pulsed load to 1 %, except by chance: the uncertainty must say so.
BEYOND = ["slow_sensor_pulsed"]


def test_every_case_has_its_trace_and_every_trace_its_case():
    assert {"aliasing", "counter_wrap", "gap", "missing_edge", "nvml_average_1s"} <= set(NAMES)
    assert [trace.name for trace in all_traces() if trace.refused] == REFUSED
    assert sorted(trace.name for trace in all_traces()) == NAMES


@pytest.mark.parametrize("trace", all_traces(), ids=lambda trace: trace.name)
def test_a_file_is_what_its_maker_makes(trace):
    assert (FOLDER / f"{trace.name}.csv").read_text("utf-8") == trace_text(trace)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED + BEYOND])
def test_energy_is_within_one_percent_of_the_known_answer(name):
    trace = load_trace(name)
    assert abs(energy_error(trace)) <= 0.01
    energy, uncertainty = read_trace(trace)
    assert energy.reason == ""
    assert abs(energy.value * INFERENCES - trace.answer_j) <= uncertainty.value * INFERENCES


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_known_is_refused(name):
    trace = load_trace(name)
    (reading,) = read_trace(trace)
    assert reading.value is None
    assert trace.refused in reading.reason


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_not_within_one_percent_is_within_its_uncertainty(name):
    trace = load_trace(name)
    energy, uncertainty = read_trace(trace)
    assert uncertainty.value / energy.value > 0.01
    assert abs(energy.value * INFERENCES - trace.answer_j) <= uncertainty.value * INFERENCES


def test_a_gpus_power_agrees_with_its_own_counter():
    power, _ = read_trace(load_trace("nvml_average_1s"))
    counter, _ = read_trace(load_trace("counter_steps"))
    assert power.value == pytest.approx(counter.value, rel=0.01)


def test_a_window_of_few_updates_is_of_low_confidence():
    trace = load_trace("counter_steps")
    energy = read_trace(replace(trace, window_end_ns=trace.window_start_ns + 20_000_000_000))[0]
    assert "the window lasted 20.0 s, less than 60 s" in energy.reason
