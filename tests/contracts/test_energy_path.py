"""Recorded energy rounds by the whole path: the sampler's lines, the agent's readings, the wire, the analysis."""

from __future__ import annotations

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard_agent.jobs.messages import reading_message
from steelyard_agent.sampler.reading import IDLE_NAME, LEAST_IDLE_S, energy_reading, power_reading
from steelyard_protocol.v1 import measurement_pb2, result_pb2
from tests.controller.analysis.planted_rounds import digest_of, given, latency_rounds, round_of
from tests.support.energy_rounds import IDLE_AFTER_S, IDLE_BEFORE_S, INFERENCES, LOADS, MODEL_S, S, round_trace
from tests.support.energy_traces import FOLDER, load_trace, trace_text

EXACT = [name for name in LOADS if name not in ("agx_steps", "nothing_above_idle")]
MODEL_LENGTH_S = MODEL_S[1] - MODEL_S[0]


def ns(seconds: tuple[float, float]) -> dict[str, int]:
    return {"window_start_ns": round(seconds[0] * S), "window_end_ns": round(seconds[1] * S)}


def recorded_round(name: str, index: int = 0) -> result_pb2.RoundResult:
    """A round as an agent sends it whose sampler recorded this."""
    recording = load_trace(f"rounds/{name}").recording()
    blocks = []
    for label, role, seconds in (
        ("idle before", result_pb2.BLOCK_ROLE_IDLE_BEFORE, IDLE_BEFORE_S),
        ("original", result_pb2.BLOCK_ROLE_UNSPECIFIED, MODEL_S),
        ("idle after", result_pb2.BLOCK_ROLE_IDLE_AFTER, IDLE_AFTER_S),
    ):
        block = result_pb2.BlockResult(label=label, role=role, status=result_pb2.BLOCK_STATUS_OK)
        window = ns(seconds)
        block.energy_window.start_ns, block.energy_window.end_ns = window.values()
        if role:
            readings = power_reading(IDLE_NAME, recording=recording, least_s=LEAST_IDLE_S, **window)
        else:
            block.artifact_digest = digest_of(label)
            block.energy_window.inference_count = INFERENCES
            readings = energy_reading(inference_count=INFERENCES, recording=recording, **window)
        block.readings.extend(map(reading_message, readings))
        blocks.append(block)
    return round_of(result_pb2.PASS_ENERGY, index, blocks)


def measured(name: str) -> measurement_pb2.Measurement:
    rounds = [recorded_round(name, index) for index in range(3)]
    return build_measurement(given(["original"], [*latency_rounds({"original": 2e7}, 6), *rounds]))


def truth(name: str) -> dict[str, float]:
    load = LOADS[name]
    energy_j = load.energy_j(MODEL_S[1]) - load.energy_j(MODEL_S[0])
    return {
        "energy": energy_j / INFERENCES,
        "net_energy": (energy_j - load.idle_w * MODEL_LENGTH_S) / INFERENCES,
        "mean_power": energy_j / MODEL_LENGTH_S,
    }


@pytest.mark.parametrize("name", LOADS)
def test_a_file_is_what_its_maker_makes(name: str) -> None:
    assert (FOLDER / "rounds" / f"{name}.csv").read_text("utf-8") == trace_text(round_trace(name))


@pytest.mark.parametrize("name", EXACT)
def test_gross_net_and_idle_are_within_one_percent_of_the_known_answer(name: str) -> None:
    measurement = measured(name)
    assert measurement.idle_power.value == pytest.approx(LOADS[name].idle_w, rel=0.01)
    for field, value in truth(name).items():
        assert getattr(measurement.variants[0], field).value == pytest.approx(value, rel=0.01), field
    assert not [one for one in measurement.warnings if "baseline_drift" in one]


@pytest.mark.parametrize("name", LOADS)
def test_the_intervals_hold_the_known_answer(name: str) -> None:
    measurement = measured(name)
    idle = measurement.idle_power
    assert idle.low <= LOADS[name].idle_w <= idle.high
    for field, value in truth(name).items():
        estimate = getattr(measurement.variants[0], field)
        assert estimate.low <= value <= estimate.high, field


def test_steps_of_a_sensor_widen_net_by_both_of_its_parts() -> None:
    """9.1 W are told as 9.0 W for good: no round more makes that better, and the interval knows."""
    measurement = measured("agx_steps")
    step_w, idle = 0.4, measurement.idle_power
    assert (idle.high - idle.low) / 2 > 2 * step_w / 12**0.5 * 0.97
    net = measurement.variants[0].net_energy
    assert net.reason == ""
    assert net.value == pytest.approx(truth("agx_steps")["net_energy"], rel=0.02)


def test_a_model_that_draws_next_to_nothing_is_not_told_apart_from_idle() -> None:
    variant = measured("nothing_above_idle").variants[0]
    assert variant.net_energy.reason == "not distinguishable from idle"
    assert variant.energy.value == pytest.approx(truth("nothing_above_idle")["energy"], rel=0.01)


def test_a_short_baseline_is_of_low_confidence() -> None:
    recording = load_trace("rounds/pi5_pmic").recording()
    (power, _) = power_reading(IDLE_NAME, recording=recording, least_s=LEAST_IDLE_S, **ns((2.0, 22.0)))
    assert power.reason.startswith("low_confidence: ")
    assert "the window lasted 20.0 s, less than 30 s" in power.reason
    (short, _) = power_reading(IDLE_NAME, recording=recording, least_s=LEAST_IDLE_S, **ns((2.0, 7.0)))
    assert short.reason.count("the window lasted") == 1


def test_a_window_beyond_the_recording_has_no_power_and_a_reason() -> None:
    recording = load_trace("rounds/pi5_pmic").recording()
    (power,) = power_reading(IDLE_NAME, recording=recording, **ns((80.0, 110.0)))
    assert (power.value, power.unit, power.name) == (None, "W", "idle_power")
    assert "before the window's end" in power.reason
