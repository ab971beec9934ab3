"""The battery of a phone: valid while it discharges, in units that are believed only where they make sense."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.meters.access.battery_checks import discharge_power_pw
from steelyard_agent.meters.access.termux_battery import power_pw
from steelyard_agent.meters.battery_power import SUPPLIES_FOLDER
from steelyard_agent.meters.power import PowerMeter, find_power_sources
from steelyard_agent.meters.sysfs import SourceError
from steelyard_agent.readings import Scope
from tests.support.fake_sysfs import FakeSysfs, load_tree

BATTERY = f"{SUPPLIES_FOLDER}/battery"
TERMUX = "termux-battery-status"


def phone(tmp_path, *, current="-412345", voltage="4012345", status="Discharging"):
    tree = FakeSysfs(tmp_path)
    for name, text in (("type", "Battery"), ("current_now", current), ("voltage_now", voltage), ("status", status)):
        tree.write(f"{BATTERY}/{name}", text)
    return tree


def answer(**changes):
    told = {"plugged": "UNPLUGGED", "status": "DISCHARGING", "voltage": 4012, "current": -412345, "percentage": 71}
    return json.dumps({key: value for key, value in {**told, **changes}.items() if value is not None})


def denied(tmp_path, **commands):
    tree = phone(tmp_path)
    for name in ("current_now", "voltage_now", "status"):
        tree.deny(f"{BATTERY}/{name}")
    tree.commands |= commands
    return tree


@pytest.mark.parametrize("current", ["-412345", "412345"])
def test_the_sign_of_the_current_differs_between_vendors_and_says_nothing(tmp_path, current):
    (reading,) = PowerMeter(phone(tmp_path, current=current).system).probe()
    assert reading.value == pytest.approx(0.412345 * 4.012345)
    assert (reading.name, reading.scope) == ("battery_power", Scope.BATTERY)
    assert "the whole device with its screen" in reading.reason


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_on_a_charger_the_battery_tells_nothing_of_the_device(tmp_path, status):
    tree = phone(tmp_path, status=status)
    tree.commands[TERMUX] = answer()
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.value is None
    assert f"says {status!r}: on a charger" in reading.reason
    assert "unplug it" in reading.reason
    assert tree.asked == []


def test_a_charger_that_is_plugged_in_while_measuring_ends_the_readings(tmp_path):
    tree = phone(tmp_path)
    meter = PowerMeter(tree.system)
    meter.probe()
    tree.write(f"{BATTERY}/status", "Charging")
    assert "on a charger" in meter.read()[0].reason
    meter.close()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"current": "-394"}, "says -394 uA, too little"),
        ({"current": "2100"}, "its vendor seems to tell milliamperes"),
        ({"current": "0"}, "says 0 uA"),
        # Nanoamperes.
        ({"current": "-412345000"}, "says -412345000 uA, which no phone draws"),
        ({"voltage": "4012"}, "says 4012 uV, which no battery of a phone has"),
        ({"current": ""}, "current_now is empty"),
    ],
)
def test_a_value_in_another_unit_is_refused_not_taken(tmp_path, change, part):
    (reading,) = PowerMeter(phone(tmp_path, **change).system).probe()
    assert reading.value is None
    assert part in reading.reason


@given(st.integers(-(10**8), 10**8), st.integers(0, 10**8))
def test_a_battery_gives_a_power_that_a_phone_can_have_or_a_reason(current_ua, voltage_uv):
    if 10_000 <= abs(current_ua) <= 10**7 and 2_000_000 <= voltage_uv <= 30_000_000:
        assert discharge_power_pw(current_ua, voltage_uv, "x") == abs(current_ua) * voltage_uv <= 300 * 1e12
    else:
        with pytest.raises(SourceError, match="x says"):
            discharge_power_pw(current_ua, voltage_uv, "x")


def test_a_denied_battery_says_what_to_install(tmp_path):
    (reading,) = PowerMeter(denied(tmp_path).system).probe()
    assert reading.reason == (
        f"permission denied on {BATTERY}: Android keeps it from apps; the program termux-battery-status is not "
        "installed here; install the app Termux:API and run: pkg install termux-api"
    )


def test_where_sysfs_is_denied_termux_is_asked(tmp_path):
    (source,) = find_power_sources(denied(tmp_path, **{TERMUX: answer()}).system).sources
    assert (source.access, source.least_period_s) == ("termux-battery", 2.0)
    (reading,) = PowerMeter(load_tree("pixel_8", tmp_path / "b").system).probe()
    assert 0.1 < reading.value < 10
    assert "Termux:API multiplies currents below 1000 by 1000" in reading.reason


def test_termux_is_asked_also_where_the_folder_is_hidden(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands[TERMUX] = answer()
    assert find_power_sources(tree.system).sources[0].name == "battery_power"
    tree.commands[TERMUX] = answer(plugged="PLUGGED_USB")
    (reading,) = PowerMeter(tree.system).probe()
    assert "'PLUGGED_USB': on a charger" in reading.reason


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"plugged": "PLUGGED_AC"}, "on a charger"),
        ({"plugged": None}, "says 'None'"),
        ({"current": -412}, "says -412 uA, too little"),
        # A vendor's 1500 mA, which Termux:API took for microamperes.
        ({"current": -1500}, "says -1500 uA, too little"),
        ({"current": None}, "tells no current"),
        ({"voltage": None}, "update the app Termux:API"),
    ],
)
def test_an_answer_of_termux_that_says_nothing_gives_the_reason(tmp_path, changes, part):
    (reading,) = PowerMeter(denied(tmp_path, **{TERMUX: answer(**changes)}).system).probe()
    assert reading.value is None
    assert part in reading.reason


def test_not_charging_without_a_cable_was_seen_and_is_fine():
    assert power_pw(answer(status="NOT_CHARGING")) == 412345 * 4012 * 1000


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_answer_breaks_the_parser(text):
    with pytest.raises(SourceError):
        power_pw(text)


def test_an_absurd_battery_and_a_termux_that_fails_tell_both(tmp_path):
    tree = phone(tmp_path, current="3")
    tree.commands[TERMUX] = "not json"
    (reading,) = PowerMeter(tree.system).probe()
    assert "says 3 uA" in reading.reason
    assert "which is no JSON" in reading.reason


def test_a_port_is_no_battery(tmp_path):
    tree = FakeSysfs(tmp_path)
    for name in ("usb", "ucsi-source-psy-USBC000:001"):
        tree.write(f"{SUPPLIES_FOLDER}/{name}/current_now", "3000000")
        tree.write(f"{SUPPLIES_FOLDER}/{name}/voltage_now", "9000000")
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.name == "power"
    assert f"{SUPPLIES_FOLDER} (supplies found: ucsi-source-psy-USBC000:001, usb)" in reading.reason
