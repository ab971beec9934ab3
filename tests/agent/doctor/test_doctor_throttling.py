from __future__ import annotations

import pytest

from steelyard_agent.doctor.throttling import throttle_doubt, throttle_evidence
from tests.support.fake_sysfs import FakeSysfs, load_tree

THERMAL = "/sys/class/thermal"


def evidence(tree):
    return {one.name: one.detail for one in throttle_evidence(tree.system)}


def test_a_device_without_anything_has_no_evidence(tmp_path):
    assert throttle_evidence(FakeSysfs(tmp_path).system) == ()


def test_zones_that_slow_down_are_grouped_by_their_trip_points(tmp_path):
    tree = FakeSysfs(tmp_path)
    for number, (kind, trips) in enumerate(
        [
            ("cpu-thermal", {"passive": 85000, "critical": 110000}),
            ("gpu-thermal", {"passive": 85000}),
            ("x", {"hot": 9}),
        ]
    ):
        folder = f"{THERMAL}/thermal_zone{number}"
        tree.write(f"{folder}/type", f"{kind}\n")
        for index, (word, millidegrees) in enumerate(trips.items()):
            tree.write(f"{folder}/trip_point_{index}_type", f"{word}\n")
            tree.write(f"{folder}/trip_point_{index}_temp", f"{millidegrees}\n")
    assert evidence(tree) == {"trip points": "cpu-thermal, gpu-thermal passive from 85 C"}


def test_cooling_devices_that_slow_down_are_grouped_by_their_state_and_fans_left_out(tmp_path):
    tree = FakeSysfs(tmp_path)
    kinds = [("Processor", 0), ("Processor", 0), ("pwm-fan", 2), ("cpufreq-cpu0", 3)]
    for number, (kind, state) in enumerate(kinds):
        tree.write(f"{THERMAL}/cooling_device{number}/type", f"{kind}\n")
        tree.write(f"{THERMAL}/cooling_device{number}/cur_state", f"{state}\n")
    assert evidence(tree) == {"cooling": "2x Processor at rest; cpufreq-cpu0 at state 3"}


def test_clocks_are_named_with_their_limits_and_statistics(tmp_path):
    tree = FakeSysfs(tmp_path)
    policy = "/sys/devices/system/cpu/cpufreq/policy0"
    tree.write(f"{policy}/scaling_max_freq", "1800000\n")
    tree.write("/sys/class/devfreq/fb000000.gpu/cur_freq", "300000000\n")
    assert evidence(tree) == {"limits": "a frequency limit that falls: policy0, fb000000.gpu"}
    tree.write(f"{policy}/stats/time_in_state", "600000 10\n1800000 5\n")
    assert evidence(tree)["frequency"] == "time_in_state of policy0"


def test_counters_of_pcs_and_alarms_of_current_are_named(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "0\n")
    tree.write("/sys/class/hwmon/hwmon1/name", "ina3221\n")
    tree.write("/sys/class/hwmon/hwmon1/curr1_crit_alarm", "0\n")
    tree.write("/sys/class/hwmon/hwmon1/curr2_crit_alarm", "0\n")
    assert evidence(tree) == {
        "counters": "core_throttle_count: heat alone",
        "alarms": "2 over-current alarms of ina3221",
    }


def test_what_no_verdict_looks_at_is_not_named_and_what_one_does_is(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/sys/class/hwmon/hwmon0/name", "pmbus\n")
    tree.write("/sys/class/hwmon/hwmon0/curr1_crit_alarm", "0\n")
    assert evidence(tree) == {}
    tree.write("/sys/class/hwmon/hwmon1/name", "ina3221\n")
    tree.write("/sys/class/hwmon/hwmon1/curr1_max_alarm", "0\n")
    tree.write("/sys/devices/system/cpu/cpu0/thermal_throttle/package_power_limit_count", "0\n")
    assert evidence(tree) == {
        "counters": "package_power_limit_count: heat and the power limit",
        "alarms": "1 over-current alarm of ina3221",
    }


def test_only_a_raspberry_pi_is_asked_for_its_flags(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands["vcgencmd get_throttled"] = "throttled=0x50000"
    assert evidence(tree) == {}
    tree.write("/proc/device-tree/compatible", "raspberrypi,4-model-b\x00brcm,bcm2711\x00")
    assert evidence(tree) == {"firmware": "get_throttled 0x50000: under-voltage and throttled since boot"}
    del tree.commands["vcgencmd get_throttled"]
    assert "vcgencmd is not installed" in evidence(tree)["firmware"]


def test_android_tells_its_status_or_why_not(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands["getprop ro.build.version.sdk"] = "35"
    tree.commands["dumpsys thermalservice"] = "Thermal Status: 1\n"
    assert evidence(tree) == {"Android": "thermal status 1 of 0 to 6"}
    tree.commands["dumpsys thermalservice"] = "!permission denied"
    assert evidence(tree) == {"Android": "permission denied"}


@pytest.mark.parametrize("tree", ["n100", "raspberry_pi_5", "jetson_orin_nano", "rock_5b"])
def test_boards_that_are_known_have_evidence(tmp_path, tree):
    assert throttle_evidence(load_tree(tree, tmp_path).system)


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        *((name, "") for name in ("raspberry_pi_5", "rock_5b", "jetson_orin_nano", "spacemit_k1", "android_generic")),
        ("raspberry_pi_4b", "since boot already, which hides whether again; restart the Pi"),
        ("n100", "the power limit is not counted here"),
        ("pixel_8", "android.permission.DUMP"),
        ("bare_virtual_machine", "nothing on this device tells enough"),
    ],
)
def test_why_a_block_could_not_read_no_is_known_before_any_block(tmp_path, name, doubt):
    told = throttle_doubt(load_tree(name, tmp_path).system)
    assert (doubt in told) if doubt else told == ""


def test_clocks_that_could_rule_throttling_out_leave_no_doubt(tmp_path):
    tree = load_tree("unknown_board", tmp_path)
    for policy in ("policy0", "policy4"):
        assert throttle_doubt(tree.system)
        tree.write(f"/sys/devices/system/cpu/cpufreq/{policy}/scaling_governor", "performance")
        tree.write(f"/sys/devices/system/cpu/cpufreq/{policy}/scaling_driver", "cpufreq-dt")
    assert throttle_doubt(tree.system) == ""
