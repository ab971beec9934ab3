"""One full measurement for each family, replayed through meters, sampler, surroundings and the round."""

from __future__ import annotations

import pytest

from steelyard_protocol.v1 import common_pb2, result_pb2
from tests.agent.families.replay import LEAD_S, Trace, measure
from tests.agent.families.traces import CASES, HWMON1, rail, ramp
from tests.support.fake_sysfs import load_tree
from tests.support.goldens import FAMILIES


def energies(block):
    return [one for one in block.readings if one.name == "energy_per_inference"]


def measured(reading):
    return reading.status == common_pb2.READING_STATUS_MEASURED


def verdict(block):
    return result_pb2.ThrottleVerdict.Name(block.throttle.verdict).removeprefix("THROTTLE_VERDICT_")


def test_every_family_has_a_trace():
    assert set(CASES) == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_whole_measurement_gives_the_answer_of_its_trace(tmp_path, monkeypatch, family):
    case = CASES[family]
    block = await measure(load_tree(family, tmp_path / "tree"), case.trace, tmp_path, monkeypatch)
    if case.scope is None:
        assert not [one for one in energies(block) if measured(one)]
        assert any(case.why_no_energy in one.reason for one in energies(block))
    else:
        scope = common_pb2.ReadingScope.Value(f"READING_SCOPE_{case.scope.value}")
        main = next(one for one in energies(block) if one.scope == scope)
        assert measured(main), main.reason
        expected_j = case.mean_w * case.trace.window_s / case.trace.inference_count
        assert main.value == pytest.approx(expected_j, rel=0.01)
        assert main.unit == "J"
    findings = [*block.throttle.evidence, *block.throttle.not_looked_at]
    assert verdict(block) == case.throttle, findings
    assert case.throttle == "NO" or any(case.because in one for one in findings), findings
    told = {one.name: one.value for one in block.circumstances if one.HasField("value")}
    assert told.items() >= case.circumstances.items()
    if case.not_valid:
        assert block.status == result_pb2.BLOCK_STATUS_NOT_VALID
        assert case.not_valid in block.error.message
    elif case.throttle == "YES":
        # Its figures are kept with it and left out of every figure.
        assert block.status == result_pb2.BLOCK_STATUS_NOT_VALID
        assert block.validity.verdict == result_pb2.VALIDITY_VERDICT_THROTTLED
        assert block.error.message == block.throttle.evidence[0]
    else:
        assert block.status == result_pb2.BLOCK_STATUS_OK


@pytest.mark.parametrize("family", [family for family in FAMILIES if CASES[family].scope is None])
async def test_a_device_without_a_sensor_has_temperatures_around_the_block_where_it_can(tmp_path, monkeypatch, family):
    block = await measure(load_tree(family, tmp_path / "tree"), CASES[family].trace, tmp_path, monkeypatch)
    names = {one.name for one in block.readings if measured(one) and one.unit == "Cel"}
    assert {name.rsplit("_", 1)[1] for name in names} <= {"before", "after"}
    if family not in {"android_generic", "bare_virtual_machine"}:
        before, after = (
            [one.value for one in block.readings if one.name.endswith(f"temperature_{when}") and measured(one)]
            for when in ("before", "after")
        )
        assert max(after) > max(before), "the trace warms the device up"


async def test_a_sensor_that_falls_silent_leaves_a_reason_and_no_energy(tmp_path, monkeypatch):
    power_w = ramp(4.0, 14.0)
    drive = rail(HWMON1, 1, 5072, power_w, 8)

    def break_off(tree, seconds):
        if seconds < LEAD_S + 20:
            drive(tree, seconds)
        else:
            tree.write(f"{HWMON1}/curr1_input", "")

    block = await measure(load_tree("jetson_orin_nano", tmp_path / "t"), Trace(drive=break_off), tmp_path, monkeypatch)
    main = next(one for one in energies(block) if "VDD_IN" in one.source)
    assert not measured(main)
    assert "curr1_input is empty" in main.reason
    assert any(measured(one) for one in energies(block) if "VDD_SOC" in one.source)


async def test_a_charger_that_is_plugged_in_within_the_window_ends_the_energy(tmp_path, monkeypatch):
    case = CASES["pixel_8"]

    def plug_in(tree, seconds):
        case.trace.drive(tree, seconds)
        if seconds > LEAD_S + 100:
            tree.commands["termux-battery-status"] = (
                '{"plugged": "PLUGGED_USB", "status": "CHARGING", "voltage": 4200, "current": 900000}'
            )

    trace = Trace(drive=plug_in, window_s=case.trace.window_s)
    block = await measure(load_tree("pixel_8", tmp_path / "tree"), trace, tmp_path, monkeypatch)
    assert not [one for one in energies(block) if measured(one)]
    assert any("charger" in one.reason for one in energies(block))


async def test_absurd_values_in_the_window_are_left_out_with_their_reason(tmp_path, monkeypatch):
    case = CASES["jetson_orin_nano"]

    def spike(tree, seconds):
        case.trace.drive(tree, seconds)
        if LEAD_S + 10 < seconds < LEAD_S + 10.1:
            tree.write(f"{HWMON1}/curr1_input", "99999999999\n")

    block = await measure(load_tree("jetson_orin_nano", tmp_path / "t"), Trace(drive=spike), tmp_path, monkeypatch)
    main = next(one for one in energies(block) if "VDD_IN" in one.source)
    assert measured(main), main.reason
    assert main.value == pytest.approx(case.mean_w * 40.0 / 2000, rel=0.01)
