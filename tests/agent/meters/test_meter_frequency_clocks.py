from __future__ import annotations

import pytest

from steelyard_agent.meters.family import is_jetson, is_raspberry_pi
from steelyard_agent.meters.frequency import FrequencyMeter
from steelyard_agent.readings import Scope
from tests.support.fake_sysfs import FakeSysfs, load_tree

CLOCK = "vcgencmd measure_clock arm"
DEVFREQ = "/sys/class/devfreq"


def by_name(readings):
    return {reading.name: reading for reading in readings}


def test_a_raspberry_pi_tells_its_real_clock_beside_the_one_asked_for(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    meter = FrequencyMeter(tree.system)
    meter.probe()
    tree.commands[CLOCK] = "frequency(0)=1100024320"
    clock = by_name(meter.read())["cpu_clock"]
    assert (clock.value, clock.unit, clock.scope, clock.source) == (1_100_024_320, "Hz", Scope.SOC, CLOCK)
    meter.close()
    assert meter.read() == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "the program vcgencmd is not installed here"),
        ("!vcgencmd cannot be run: permission denied", "permission denied"),
        ("frequency(0)=0", "says 'frequency(0)=0', which is no clock"),
    ],
)
def test_a_raspberry_pi_that_does_not_answer_says_why_and_is_asked_once(tmp_path, answer, reason):
    tree = load_tree("raspberry_pi_5", tmp_path)
    tree.commands.pop(CLOCK, None)
    if answer is not None:
        tree.commands[CLOCK] = answer
    meter = FrequencyMeter(tree.system)
    meter.probe()
    clock = by_name(meter.read())["cpu_clock"]
    assert clock.value is None
    assert reason in clock.reason
    assert tree.asked.count(CLOCK) == 1


def test_other_devices_are_not_asked(tmp_path):
    tree = load_tree("rock_5b", tmp_path)
    assert "cpu_clock" not in by_name(FrequencyMeter(tree.system).probe())
    assert tree.asked == []


def test_clocks_of_other_parts_are_named_by_what_they_are(tmp_path):
    tree = FakeSysfs(tmp_path)
    for device in ("17000000.ga10b", "fdab0000.npu", "dmc", "8188000.vic"):
        tree.write(f"{DEVFREQ}/{device}/cur_freq", "306000000")
    meter = FrequencyMeter(tree.system)
    readings = by_name(meter.probe())
    assert {"gpu_frequency", "npu_frequency", "memory_frequency", "device_frequency"} <= set(readings)
    assert readings["gpu_frequency"].value == 306_000_000
    meter.close()


def test_a_gpus_governor_and_limit_stand_in_its_source(tmp_path):
    readings = by_name(FrequencyMeter(load_tree("jetson_orin_nano", tmp_path).system).probe())
    source = readings["gpu_frequency"].source
    assert source == f"{DEVFREQ}/17000000.gpu/cur_freq (governor nvhost_podgov, limit 624.75 MHz)"


def test_a_part_that_is_off_runs_at_nothing_and_an_absurd_one_says_so(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(f"{DEVFREQ}/gpu/cur_freq", "0")
    meter = FrequencyMeter(tree.system)
    meter.probe()
    assert by_name(meter.read())["gpu_frequency"].value == 0
    tree.write(f"{DEVFREQ}/gpu/cur_freq", "-5")
    assert "says -5 Hz" in by_name(meter.read())["gpu_frequency"].reason
    tree.write(f"{DEVFREQ}/gpu/cur_freq", "")
    assert "is empty" in by_name(meter.read())["gpu_frequency"].reason


def test_the_source_says_where_the_kernel_keeps_times(tmp_path):
    current = by_name(FrequencyMeter(load_tree("raspberry_pi_5", tmp_path).system).probe())["cpu_frequency"]
    assert current.source.endswith("policy0/scaling_cur_freq (time_in_state is kept)")


def test_families_are_known_by_their_device_tree(tmp_path):
    pi = load_tree("raspberry_pi_5", tmp_path / "pi").system
    jetson = load_tree("jetson_orin_nano", tmp_path / "jetson").system
    assert (is_raspberry_pi(pi), is_jetson(pi)) == (True, False)
    assert (is_raspberry_pi(jetson), is_jetson(jetson)) == (False, True)
