from __future__ import annotations

from steelyard_agent.meters.cpufreq import read_governors
from steelyard_agent.meters.frequency import FrequencyMeter
from tests.support.fake_sysfs import FakeSysfs, load_tree

POLICY = "/sys/devices/system/cpu/cpufreq/policy"


def test_current_and_maximum_are_read_in_hertz(tmp_path):
    meter = FrequencyMeter(load_tree("raspberry_pi_5", tmp_path).system)
    current, _, maximum = meter.probe()
    assert (current.name, current.value, current.unit) == ("cpu_frequency", 1.5e9, "Hz")
    assert (maximum.name, maximum.value) == ("cpu_max_frequency", 2.4e9)
    meter.close()


def test_policies_with_one_maximum_are_one_reading_of_their_mean(tmp_path):
    tree = load_tree("n100", tmp_path)
    meter = FrequencyMeter(tree.system)
    current, _ = meter.probe()
    assert current.value == 1_399_998_000
    assert current.source.endswith("policy0/scaling_cur_freq (mean of 4 policies)")
    tree.write(POLICY + "3/scaling_cur_freq", "")
    assert meter.read()[0].value == 1_199_998_000
    meter.close()


def test_clusters_of_different_cores_are_readings_of_their_own(tmp_path):
    tree = FakeSysfs(tmp_path)
    for policy, khz in ((0, 1_800_000), (4, 2_256_000), (6, 2_256_000)):
        tree.write(f"{POLICY}{policy}/scaling_cur_freq", "408000")
        tree.write(f"{POLICY}{policy}/cpuinfo_max_freq", str(khz))
    readings = FrequencyMeter(tree.system).probe()
    assert [reading.value for reading in readings] == [408e6, 408e6, 1.8e9, 2.256e9]


def test_absurd_values_give_their_reason(tmp_path):
    readings = FrequencyMeter(load_tree("absurd_values", tmp_path).system).probe()
    assert [reading.value for reading in readings] == [None, None]
    assert "says 0 kHz" in readings[0].reason
    assert "says 99999999999 kHz" in readings[1].reason


def test_no_policy_says_what_was_looked_at(tmp_path):
    (reading,) = FrequencyMeter(load_tree("bare_virtual_machine", tmp_path).system).probe()
    assert reading.reason == "no cpufreq policy; looked at /sys/devices/system/cpu/cpufreq (empty)"
    (reading,) = FrequencyMeter(FakeSysfs(tmp_path / "none").system).probe()
    assert reading.reason.endswith("(not there)")


def test_governors_are_told_once_each(tmp_path):
    tree = load_tree("n100", tmp_path)
    assert read_governors(tree.system) == ("powersave",)
    tree.write(POLICY + "1/scaling_governor", "performance")
    assert read_governors(tree.system) == ("performance", "powersave")
    assert read_governors(FakeSysfs(tmp_path / "none").system) == ()
