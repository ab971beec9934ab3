from __future__ import annotations

from steelyard_agent.surroundings.processor_state import ProcessorState
from tests.support.fake_sysfs import FakeSysfs, load_tree

CPUFREQ = "/sys/devices/system/cpu/cpufreq"


def read(tree):
    source = ProcessorState(tree.system)
    assert source.objection([], []) == ""
    return {one.name: one.value for one in source.read()}


def test_one_governor_on_every_clock_is_told_once(tmp_path):
    assert read(load_tree("rock_5b", tmp_path))["governor"] == "ondemand"


def test_governors_that_differ_are_told_by_clock(tmp_path):
    tree = load_tree("rock_5b", tmp_path)
    tree.write(f"{CPUFREQ}/policy4/scaling_governor", "performance")
    assert read(tree)["governor"] == "ondemand (policy0 policy6), performance (policy4)"


def test_a_limit_below_the_maximum_is_told_and_no_limit_is_not(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(f"{CPUFREQ}/policy0/cpuinfo_max_freq", "2400000")
    tree.write(f"{CPUFREQ}/policy0/scaling_max_freq", "2400000")
    assert read(tree) == {}
    tree.write(f"{CPUFREQ}/policy0/scaling_max_freq", "1500000")
    assert read(tree) == {"frequency_limit": "1500 of 2400 MHz"}


def test_boost_is_told_by_either_driver(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(f"{CPUFREQ}/boost", "1")
    assert read(tree) == {"boost": "on"}
    tree.write("/sys/devices/system/cpu/intel_pstate/no_turbo", "1")
    assert read(tree) == {"boost": "off"}


def test_a_machine_without_cpufreq_tells_its_kernel_only(tmp_path):
    assert read(load_tree("bare_virtual_machine", tmp_path)) == {"kernel": "6.18.44"}
