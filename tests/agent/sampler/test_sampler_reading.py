from __future__ import annotations

from dataclasses import replace

import pytest

from steelyard_agent.meters.energy import Sample
from steelyard_agent.meters.power import find_power_sources
from steelyard_agent.meters.power_source import PowerSource, missing_reading
from steelyard_agent.readings import Kind, Scope, Status
from steelyard_agent.sampler.process import Recording, parse_recording
from steelyard_agent.sampler.protocol import SamplerOrder
from steelyard_agent.sampler.reading import ENERGY_NAME, UNCERTAINTY_SUFFIX, energy_reading
from tests.agent.sampler.test_sampler_protocol import SOURCE
from tests.support.fake_sysfs import FakeSysfs

S = 1_000_000_000
RAIL = PowerSource(
    name="vdd_in_power",
    kind=Kind.SAMPLED,
    scope=Scope.MODULE,
    addresses=("/in1", "/curr1"),
    scale=1e-6,
    detail="ina3221, VDD_IN",
    caution="check the shunt",
)


def recording(source, raw_at, *, seconds=14, step_ms=20, **more):
    count = seconds * 1000 // step_ms
    samples = tuple(Sample(time_ns=i * step_ms * 1_000_000, value=raw_at(i * step_ms / 1000)) for i in range(count + 1))
    fields = {"failures": ("",), "period_ns": step_ms * 1_000_000, **more}
    return Recording(sources=(source,), samples=(samples,), **fields)


def read(recorded, inferences=1000, start_s=1, end_s=13, **more):
    return energy_reading(
        window_start_ns=start_s * S, window_end_ns=end_s * S, inference_count=inferences, recording=recorded, **more
    )


def test_a_counter_gives_gross_joules_per_inference():
    energy, uncertainty = read(recording(SOURCE, lambda t: round(6e6 * t)))
    assert energy.name == ENERGY_NAME
    assert energy.value == pytest.approx(6.0 * 12 / 1000, rel=0.01)
    assert (energy.status, energy.unit, energy.scope, energy.reason) == (Status.MEASURED, "J", Scope.SOC, "")
    assert energy.source == "/sys/class/powercap/intel-rapl:0/energy_uj (RAPL package-0)"
    assert (uncertainty.name, uncertainty.status) == (ENERGY_NAME + UNCERTAINTY_SUFFIX, Status.ESTIMATED)
    assert 0 < uncertainty.value < energy.value * 0.01
    assert "accuracy is not known" in uncertainty.reason


def test_sampled_power_gives_the_same_with_its_caution():
    energy, _ = read(recording(RAIL, lambda _: 5072 * 1000))
    assert energy.value == pytest.approx(5.072 * 12 / 1000)
    assert (energy.scope, energy.reason) == (Scope.MODULE, "check the shunt")


def test_the_step_of_an_energy_is_that_of_its_sensor():
    rail = replace(RAIL, resolution=0.04)
    energy, uncertainty = read(recording(rail, lambda _: 5072 * 1000))
    # Power that rests within one step is off by up to as much all through the 12 s.
    assert energy.resolution == pytest.approx(0.04 * 12 / 1000)
    assert uncertainty.resolution is None
    counter = replace(SOURCE, resolution=61e-6)
    assert read(recording(counter, lambda t: round(6e6 * t)))[0].resolution == pytest.approx(61e-9)
    assert read(recording(RAIL, lambda _: 5072 * 1000))[0].resolution is None


def test_a_source_that_does_not_answer_is_told_beside_the_one_that_does():
    silent = missing_reading(replace(RAIL, name="module_power", detail="ina3221, all rails"), "in1_input is empty")
    energy, _, module = read(recording(RAIL, lambda _: 5072 * 1000), missing=(silent,))
    assert energy.value is not None
    assert (module.name, module.value, module.unit, module.scope) == (ENERGY_NAME, None, "J", Scope.MODULE)
    assert (module.reason, module.source) == ("in1_input is empty", "/in1 (ina3221, all rails)")


def test_a_short_window_says_low_confidence():
    energy, _ = read(recording(SOURCE, lambda t: round(6e6 * t)), inferences=50, end_s=4)
    assert energy.status is Status.MEASURED
    assert energy.reason.startswith("low_confidence: the window lasted 3.0 s")
    assert "50 inferences" in energy.reason


def test_a_window_that_was_not_covered_has_no_energy_but_the_reasons():
    late = recording(SOURCE, lambda t: round(6e6 * t), seconds=5, failures=("/x is empty",), note="it ended early")
    (reading,) = read(late)
    assert reading.value is None
    assert reading.reason.startswith("the last sample came 8 s before the window's end; /x is empty; it ended early")


def test_a_counter_that_stands_still_counts_nothing():
    (reading,) = read(recording(SOURCE, lambda _: 5))
    assert reading.value is None
    assert "the counter did not move in 12 s" in reading.reason


def test_a_rail_whose_mean_is_no_more_than_zero_has_no_energy():
    (reading,) = read(recording(replace(RAIL, resolution=0.04), lambda _: -40_000))
    assert reading.value is None
    assert reading.reason == "the mean power of -0.04 W is no more than 0"


def test_a_window_without_an_inference_has_no_energy_per_inference():
    (reading,) = read(recording(SOURCE, lambda t: round(6e6 * t)), inferences=0)
    assert reading.reason == "no inference finished in the window"


def test_no_sensor_says_what_was_looked_at(tmp_path):
    found = find_power_sources(FakeSysfs(tmp_path).system)
    empty = Recording(sources=(), samples=(), failures=(), period_ns=1)
    (reading,) = read(empty, missing=found.missing)
    assert (reading.name, reading.value, reading.unit) == (ENERGY_NAME, None, "J")
    assert reading.reason.startswith("no sensor; looked at /sys/class/powercap")
    (reading,) = read(empty)
    assert reading.reason == "no source of power or energy was given"


def test_a_window_that_does_not_last_is_refused():
    with pytest.raises(ValueError, match="not after its start"):
        read(recording(SOURCE, lambda t: t), end_s=1)


def test_a_recording_is_parsed_without_a_last_line_that_was_cut_off():
    order = SamplerOrder(system_root="/", sources=(SOURCE,), period_ms=20)
    text = '{"source": 0, "time_ns": 1, "raw": 2}\n{"source": 0, "time_ns": 2, "reason": "gone"}\n{"source": 0, "ti'
    parsed = parse_recording(text, order=order)
    assert parsed.samples == ((Sample(time_ns=1, value=2),),)
    assert parsed.failures == ("gone",)
    with pytest.raises(ValueError, match="source 1, of which there are 1"):
        parse_recording('{"source": 1, "time_ns": 1, "raw": 2}\n', order=order)
