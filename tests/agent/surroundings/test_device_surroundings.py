from __future__ import annotations

import pytest

from steelyard_agent.surroundings.contract import Circumstance, ThrottleVerdict, Weighed
from steelyard_agent.surroundings.device import DeviceSurroundings, find_throttle_sources
from tests.support.fake_sysfs import FakeSysfs, load_tree

STEADY = [1_000_000] * 100
RISING = [1_000_000] * 50 + [1_200_000] * 50
POLICY = "/sys/devices/system/cpu/cpufreq/policy0"


def around(surroundings, latency_ns=STEADY, between=lambda: None):
    before = surroundings.look()
    between()
    return surroundings.compare(before, surroundings.look(), latency_ns)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("raspberry_pi_5", ThrottleVerdict.NO),
        ("rock_5b", ThrottleVerdict.NO),
        ("jetson_orin_nano", ThrottleVerdict.NO),
        ("android_generic", ThrottleVerdict.NO),
        ("n100", ThrottleVerdict.UNKNOWN),
        ("pixel_8", ThrottleVerdict.UNKNOWN),
        ("bare_virtual_machine", ThrottleVerdict.UNKNOWN),
        ("absurd_values", ThrottleVerdict.UNKNOWN),
    ],
)
def test_a_quiet_device_of_each_family_has_its_verdict(tmp_path, name, verdict):
    report = around(DeviceSurroundings(load_tree(name, tmp_path).system)).throttle
    assert (report.verdict, report.evidence) == (verdict, ())
    assert bool(report.not_looked_at) == (verdict is ThrottleVerdict.UNKNOWN)


def test_a_device_on_which_nothing_can_be_read_is_unknown_and_raises_nothing(tmp_path):
    tree = load_tree("rock_5b", tmp_path)
    tree.deny("/sys")
    assert around(DeviceSurroundings(tree.system)).throttle.verdict is ThrottleVerdict.UNKNOWN


def test_a_raspberry_pi_that_throttles_during_a_block_is_caught(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    throttle = lambda: tree.commands.update({"vcgencmd get_throttled": "throttled=0x40004"})  # noqa: E731
    report = around(DeviceSurroundings(tree.system), between=throttle).throttle
    assert report.verdict is ThrottleVerdict.YES
    assert report.evidence == ("throttled at the time of the block (get_throttled 0x0, then 0x40004)",)


def test_a_raspberry_pi_whose_clock_falls_short_is_caught(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    tree.write(f"{POLICY}/scaling_governor", "performance")
    tree.write(f"{POLICY}/scaling_cur_freq", "2400000")
    tree.commands["vcgencmd measure_clock arm"] = "frequency(0)=1500019456"
    report = around(DeviceSurroundings(tree.system)).throttle
    assert report.evidence == ("the processor ran at 1500 MHz where 2400 MHz were asked for",)


def test_latency_that_rises_is_told_beside_a_no(tmp_path):
    surroundings = DeviceSurroundings(load_tree("rock_5b", tmp_path).system)
    report = around(surroundings, latency_ns=RISING).throttle
    assert report.verdict is ThrottleVerdict.NO
    assert "latency rose by 20 %" in report.evidence[0]


def test_readings_and_circumstances_of_a_jetson_come_with_the_block(tmp_path):
    found = around(DeviceSurroundings(load_tree("jetson_orin_nano", tmp_path).system))
    names = {reading.name for reading in found.readings}
    assert {"cpu_temperature_before", "gpu_frequency_after", "cpu_frequency_before"} <= names
    assert {one.name: one.value for one in found.circumstances} == {
        "governor": "schedutil",
        "kernel": "5.15.148-tegra",
        "power_mode": "15W",
    }
    assert found.not_valid == ""


def test_a_programs_family_is_asked_and_no_other_device(tmp_path):
    pi = load_tree("raspberry_pi_4b", tmp_path / "pi")
    around(DeviceSurroundings(pi.system))
    assert {"vcgencmd get_throttled", "vcgencmd measure_clock arm"} <= set(pi.asked)
    assert not any(line.startswith(("nvpmodel", "dumpsys")) for line in pi.asked)
    pc = load_tree("n100", tmp_path / "pc")
    around(DeviceSurroundings(pc.system))
    assert not any(line.startswith(("vcgencmd", "nvpmodel", "dumpsys")) for line in pc.asked)


def test_looks_of_a_board_without_programs_start_none(tmp_path):
    tree = load_tree("rock_5b", tmp_path)
    surroundings = DeviceSurroundings(tree.system)
    asked = list(tree.asked)
    around(surroundings)
    assert tree.asked == asked


class Objecting:
    def read(self):
        return [Circumstance(name="mood", value="bad")]

    def objection(self, before, after):
        return "it was in a bad mood" if before and after else ""


class Hot:
    def look(self):
        return 90

    def weigh(self, before, after, latency_ns):
        return Weighed(evidence=(f"it was at {before} and {after}",))


def test_more_sources_are_given_as_arguments(tmp_path):
    surroundings = DeviceSurroundings(FakeSysfs(tmp_path).system, [Objecting()], throttle_sources=[Hot()])
    found = around(surroundings)
    assert found.not_valid == "it was in a bad mood"
    assert found.circumstances == (Circumstance(name="mood", value="bad"),)
    assert found.throttle.evidence == ("it was at 90 and 90",)


def test_heartbeats_hear_of_temperatures_alone_and_start_no_program(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    surroundings = DeviceSurroundings(tree.system)
    asked = len(tree.asked)
    assert {reading.name for reading in surroundings.read_temperature()} == {"cpu_temperature"}
    assert len(tree.asked) == asked


def test_sources_are_the_same_kinds_on_every_device_but_for_programs(tmp_path):
    bare = find_throttle_sources(FakeSysfs(tmp_path).system)
    pi = find_throttle_sources(load_tree("raspberry_pi_5", tmp_path / "pi").system)
    assert len(pi) == len(bare) + 1
