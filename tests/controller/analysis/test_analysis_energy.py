"""Energy of a device by its own sensor over rounds with planted powers: gross, net, idle, and what is warned of."""

from __future__ import annotations

import re

import pytest

from steelyard.analysis.measurement import build_measurement
from steelyard.report.plain import to_plain
from steelyard_protocol.v1 import common_pb2, measurement_pb2, result_pb2
from tests.controller.analysis.planted_energy import energy_rounds, idle_block
from tests.controller.analysis.planted_rounds import given, latency_rounds

PAIR = {"original": 8.0, "int8": 5.0}
BEFORE, AFTER = result_pb2.BLOCK_ROLE_IDLE_BEFORE, result_pb2.BLOCK_ROLE_IDLE_AFTER


def measured(rounds: list[result_pb2.RoundResult], **fields: object) -> measurement_pb2.Measurement:
    return build_measurement(given(list(PAIR), [*latency_rounds(dict.fromkeys(PAIR, 1e7), 6), *rounds], **fields))


def test_gross_net_mean_power_and_idle_are_within_one_percent_of_what_was_planted() -> None:
    measurement = measured(energy_rounds(PAIR))
    assert measurement.idle_power.value == pytest.approx(2.0, rel=0.01)
    assert measurement.idle_power.observation_count == 3
    for variant in measurement.variants:
        power_w = PAIR[variant.label]
        truths = ((variant.energy, power_w * 0.01), (variant.net_energy, (power_w - 2.0) * 0.01))
        for estimate, truth in (*truths, (variant.mean_power, power_w)):
            assert estimate.value == pytest.approx(truth, rel=0.01)
            assert estimate.low <= truth <= estimate.high
            assert (estimate.observation_count, estimate.reason) == (3, "")
    assert not [one for one in measurement.warnings if "baseline" in one]


def test_net_of_a_load_like_idle_is_not_told_apart_and_says_so() -> None:
    measurement = measured(energy_rounds({"original": 2.004, "int8": 5.0}))
    original, int8 = measurement.variants
    assert original.net_energy.reason == "not distinguishable from idle"
    assert original.net_energy.low < 0 < original.net_energy.high
    assert original.energy.value == pytest.approx(0.02004, rel=0.01)
    assert int8.net_energy.reason == ""


def test_a_baseline_that_drifted_is_warned_of_and_widens_net() -> None:
    steady, drifting = measured(energy_rounds(PAIR)), measured(energy_rounds(PAIR, drift_w=0.2))
    (warning,) = [one for one in drifting.warnings if one.startswith("baseline_drift ")]
    assert (
        "in 3 of 3 energy rounds: idle power was 1.9 W before the models and 2.1 W after them in the first" in warning
    )
    assert "VDD_IN" in warning
    widths = [one.variants[0].net_energy.high - one.variants[0].net_energy.low for one in (steady, drifting)]
    assert widths[1] > 2 * widths[0]
    assert drifting.variants[0].net_energy.value == pytest.approx(0.06, rel=0.01)


def test_a_round_that_was_not_valid_leaves_its_baseline_out_as_well() -> None:
    rounds = energy_rounds(PAIR, count=4)
    spoilt = rounds[3].blocks[1]
    spoilt.status = result_pb2.BLOCK_STATUS_NOT_VALID
    rounds[3].blocks[0].readings[0].value = 50.0
    measurement = measured(rounds)
    assert measurement.idle_power.value == pytest.approx(2.0, rel=0.01)
    assert measurement.idle_power.observation_count == 3


def test_without_idle_blocks_there_is_gross_and_the_flag_that_brings_net() -> None:
    rounds = energy_rounds(PAIR)
    for one in rounds:
        for index in (3, 0):
            del one.blocks[index]
    measurement = measured(rounds)
    variant = measurement.variants[0]
    assert variant.energy.HasField("value")
    assert (variant.net_energy.HasField("value"), "--idle-window" in variant.net_energy.reason) == (False, True)
    assert measurement.idle_power.HasField("value") is False
    assert variant.mean_power.value == pytest.approx(8.0, rel=0.01)


def test_one_baseline_that_failed_leaves_the_other_and_two_leave_the_reason() -> None:
    rounds = energy_rounds(PAIR)
    for one in rounds:
        one.blocks[0].CopyFrom(idle_block(BEFORE, None, reason="the sensor went away"))
    half = measured(rounds)
    assert half.idle_power.value == pytest.approx(2.0, rel=0.01)
    for one in rounds:
        one.blocks[-1].status = result_pb2.BLOCK_STATUS_CRASHED
        one.blocks[-1].error.message = "it fell over"
    none = measured(rounds)
    assert none.variants[0].net_energy.reason == "the sensor went away"
    assert none.idle_power.reason == "the sensor went away"


def test_an_idle_block_is_no_block_of_a_model_that_is_called_like_it() -> None:
    rounds = energy_rounds({"idle before": 8.0, "int8": 5.0})
    labels = ["idle before", "int8"]
    measurement = build_measurement(given(labels, [*latency_rounds(dict.fromkeys(labels, 1e7), 6), *rounds]))
    assert measurement.variants[0].energy.value == pytest.approx(0.08, rel=0.01)


@pytest.mark.parametrize(
    ("loaded_w", "notes"),
    [
        (2.5, [r"loaded and asleep it draws (49|50)\d mW \(4\d\d to 5\d\d\) above idle"]),
        (2.0, ["loaded and asleep its power is not distinguishable from idle"]),
        (None, []),
    ],
)
def test_what_the_loaded_model_draws_by_itself_is_a_note(loaded_w: float | None, notes: list[str]) -> None:
    told = measured(energy_rounds(PAIR, loaded_w=loaded_w)).variants[0].notes
    found = [one for one in told if one.startswith("loaded and asleep")]
    assert len(found) == len(notes)
    assert all(re.fullmatch(pattern, one) for pattern, one in zip(notes, found, strict=True)), found


def test_two_rounds_have_values_without_intervals_and_one_source() -> None:
    variant = measured(energy_rounds(PAIR, count=2)).variants[0]
    for estimate in (variant.energy, variant.net_energy):
        assert (estimate.HasField("low"), "an interval needs 3 rounds, there are 2" in estimate.reason) == (False, True)
    assert variant.energy.value == pytest.approx(0.08, rel=0.01)


def test_a_device_that_tells_no_window_has_gross_alone() -> None:
    rounds = energy_rounds(PAIR)
    for one in rounds:
        for block in one.blocks:
            block.ClearField("energy_window")
    variant = measured(rounds).variants[0]
    assert variant.energy.HasField("value")
    assert variant.net_energy.reason == variant.mean_power.reason == "the device told no energy window"


def test_under_emulation_neither_net_nor_idle_is_said() -> None:
    device = common_pb2.DeviceDescription(device_id="d", name="pi5", emulated_by="qemu-user on x86_64")
    measurement = measured(energy_rounds(PAIR), device=device)
    assert not measurement.HasField("idle_power")
    variant = measurement.variants[0]
    assert "emulation" in variant.net_energy.reason
    assert "emulation" in variant.mean_power.reason


def test_json_holds_net_idle_and_mean_power() -> None:
    plain = to_plain(measured(energy_rounds(PAIR)))
    assert plain["idle_power"]["unit"] == "W"
    variant = plain["variants"][0]
    assert {variant[name]["unit"] for name in ("energy", "net_energy")} == {"J"}
    assert variant["mean_power"]["low"] < 8.0 < variant["mean_power"]["high"]


def test_a_requirement_on_net_energy_is_decided_where_it_cannot_be_told_from_idle() -> None:
    """What is at most a fifth of a millijoule above idle is below five."""
    measurement = measured(energy_rounds({"original": 2.004, "int8": 5.0}), requirements=["net_energy<5mJ"])
    outcome = measurement.variants[0].requirements[0]
    assert outcome.verdict == measurement_pb2.REQUIREMENT_VERDICT_MEETS
