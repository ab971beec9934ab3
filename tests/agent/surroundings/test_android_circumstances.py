from __future__ import annotations

import pytest

from steelyard_agent.surroundings.android import AndroidCircumstances, background_cpuset
from steelyard_agent.surroundings.android_facts import api_level, cpuset, phantom_killing
from steelyard_agent.surroundings.device import DeviceSurroundings
from tests.support.fake_sysfs import FakeSysfs, load_tree

LOW_POWER = "settings get global low_power"
PHANTOMS = "settings get global settings_enable_monitor_phantom_procs"
LIMIT = "device_config get activity_manager max_phantom_processes"
PROPERTY = "getprop persist.sys.fflag.override.settings_enable_monitor_phantom_procs"


@pytest.fixture
def termux(tmp_path):
    """A Pixel 8 as an app without rights sees it."""
    return load_tree("pixel_8", tmp_path)


def told(tree, **more):
    return {one.name: one for one in AndroidCircumstances(tree.system, **more).read()}


def test_a_device_that_is_no_android_has_no_such_circumstances(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    source = AndroidCircumstances(tree.system)
    assert source.read() == []
    assert source.objection([], []) == ""
    assert tree.asked.count("getprop ro.build.version.sdk") == 1


def test_termux_tells_what_an_app_may_know_and_why_not_the_rest(termux):
    found = told(termux)
    assert {name: one.value for name, one in found.items()} == {
        "android_api_level": "34",
        "android_cpuset": "foreground",
        "android_foreground": "yes",
        "android_allowed_cores": "0-8",
        "android_battery_saver": None,
        "android_phantom_process_killing": None,
        "android_screen": None,
        "android_doze": None,
    }
    assert all(one.reason for one in found.values() if one.value is None)
    assert (
        "to switch it off, from a computer: adb shell settings put" in found["android_phantom_process_killing"].reason
    )


def test_the_adb_shell_is_told_everything(termux):
    termux.commands |= {
        LOW_POWER: "1",
        PHANTOMS: "null",
        LIMIT: "32",
        "dumpsys power": "POWER MANAGER\n  mWakefulness=Dozing\n",
        "dumpsys deviceidle get deep": "IDLE_MAINTENANCE",
    }
    values = {name: one.value for name, one in told(termux).items()}
    assert values["android_battery_saver"] == "on"
    assert values["android_phantom_process_killing"] == "on (limit of 32 processes)"
    assert (values["android_screen"], values["android_doze"]) == ("dozing", "idle_maintenance")


@pytest.mark.parametrize(("text", "value"), [("0", "off"), ("null", "off"), ("1", "on"), ("maybe", None), ("", None)])
def test_a_switch_is_on_off_or_not_understood(termux, text, value):
    termux.commands[LOW_POWER] = text
    one = told(termux)["android_battery_saver"]
    assert one.value == value
    assert bool(one.reason) == (value is None)


def test_a_refusal_that_is_printed_like_an_answer_is_a_reason(termux):
    termux.commands |= {
        LOW_POWER: "cmd: Failure calling service settings: Failed transaction (2147483646)",
        "dumpsys power": "Permission Denial: can't dump PowerManagerService from pid=1, uid=10287",
    }
    found = told(termux)
    assert found["android_battery_saver"].value is None
    assert "Failure calling service" in found["android_battery_saver"].reason
    assert "Permission Denial" in found["android_screen"].reason


def test_what_refused_once_is_not_asked_before_every_block(termux):
    source = AndroidCircumstances(termux.system)
    for _ in range(4):
        source.read()
    assert termux.asked.count(LOW_POWER) == 1
    assert termux.asked.count(PHANTOMS) == 1


def test_what_may_change_is_read_every_time(termux):
    termux.commands[LOW_POWER] = "0"
    source = AndroidCircumstances(termux.system)
    source.read()
    termux.commands[LOW_POWER] = "1"
    assert {one.name: one.value for one in source.read()}["android_battery_saver"] == "on"


@pytest.mark.parametrize("name", ["/background", "/restricted", "/system-background", "/background/vendor"])
def test_a_block_that_ran_in_the_background_is_not_valid(termux, name):
    surroundings = DeviceSurroundings(termux.system, sources=(AndroidCircumstances(termux.system),))
    front = surroundings.look()
    termux.write("/proc/self/cpuset", f"{name}\n")
    termux.write("/proc/self/status", "Cpus_allowed_list:\t0-3\n")
    back = surroundings.look()
    for before, after in ((front, back), (back, front), (back, back)):
        why = surroundings.compare(before, after, ()).not_valid
        assert why == (
            f"the worker ran in Android's {name.strip('/')} cpuset (cores 0-3 only): bring Termux to the foreground, "
            "hold a wake lock (termux-wake-lock) and run again"
        )
    assert surroundings.compare(front, front, ()).not_valid == ""


@pytest.mark.parametrize(("name", "foreground"), [("/top-app", "yes"), ("/", None), ("/camera-daemon", None)])
def test_other_cpusets_are_recorded_and_accepted(termux, name, foreground):
    termux.write("/proc/self/cpuset", name)
    source = AndroidCircumstances(termux.system)
    look = source.read()
    assert source.objection(look, look) == ""
    assert {one.name: one.value for one in look}["android_foreground"] == foreground


def test_the_background_is_told_now_and_on_android_only(termux, tmp_path):
    assert background_cpuset(termux.system) == ""
    termux.write("/proc/self/cpuset", "/system-background\n")
    assert background_cpuset(termux.system) == "system-background"
    board = load_tree("raspberry_pi_5", tmp_path / "board")
    board.write("/proc/self/cpuset", "/background\n")
    assert background_cpuset(board.system) == ""


def test_the_cpuset_may_stand_in_the_cgroups_only(termux):
    termux.remove("/proc/self/cpuset")
    termux.write("/proc/self/cgroup", "5:schedtune:/foreground\n4:cpuset:/background\n0::/uid_10287\n")
    assert cpuset(termux.system) == ("background", "")
    termux.write("/proc/self/cgroup", "0::/uid_10287/pid_1\n")
    assert cpuset(termux.system) == (None, "/proc/self/cpuset is not there")


def test_cores_that_are_not_told_have_a_reason(termux):
    termux.remove("/proc/self/status")
    assert told(termux)["android_allowed_cores"].value is None


@pytest.mark.parametrize(
    ("level", "commands", "enabled"),
    [
        (30, {}, False),
        (31, {LIMIT: "2147483647"}, False),
        (33, {PHANTOMS: "false"}, False),
        (33, {PROPERTY: "false"}, False),
        (33, {PROPERTY: "true"}, True),
        (33, {PHANTOMS: "null"}, True),
        (33, {LIMIT: "64", PHANTOMS: "true"}, True),
        (33, {}, None),
    ],
)
def test_the_killing_of_phantom_processes_is_told_by_what_may_be_asked(tmp_path, level, commands, enabled):
    tree = FakeSysfs(tmp_path)
    tree.commands |= commands
    killing = phantom_killing(tree.system, level)
    assert killing.enabled is enabled
    assert killing.detail or killing.reason


@pytest.mark.parametrize("text", ["", "soon", "34.1", "-3"])
def test_an_api_level_is_a_number_or_nothing(tmp_path, text):
    tree = FakeSysfs(tmp_path)
    tree.commands["getprop ro.build.version.sdk"] = text
    assert api_level(tree.system) is None
