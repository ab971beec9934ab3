from __future__ import annotations

import pytest

from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.cooling import CoolingDevices
from steelyard_agent.surroundings.cooling_kinds import CoolingKind, cooling_kind
from tests.support.fake_sysfs import FakeSysfs, load_tree

FOLDER = "/sys/class/thermal/cooling_device"


def device(tree, kind, state="0", number=0):
    tree.write(f"{FOLDER}{number}/type", kind)
    tree.write(f"{FOLDER}{number}/cur_state", state)
    tree.write(f"{FOLDER}{number}/max_state", "8")


def weigh(tmp_path, kind, before, after):
    tree = FakeSysfs(tmp_path)
    device(tree, kind, before)
    devices = CoolingDevices(tree.system)
    first = devices.look()
    tree.write(f"{FOLDER}0/cur_state", after)
    return devices.weigh(first, devices.look(), ())


@pytest.mark.parametrize(
    "kind",
    ["thermal-cpufreq-0", "cpufreq-cpu4", "idle-cpu0", "cpu-throttle-alert", "cpu-balanced", "tegra_heavy"],
)
def test_the_kernels_own_brake_at_rest_rules_throttling_out(tmp_path, kind):
    assert weigh(tmp_path, kind, "0", "0") == Weighed(rules_out=True)


@pytest.mark.parametrize("kind", ["thermal-cpufreq-0", "Processor", "intel_powerclamp", "devfreq-17000000.gpu"])
def test_a_state_that_rose_is_evidence(tmp_path, kind):
    assert weigh(tmp_path, kind, "0", "3").evidence == (f"cooling device {kind} rose from state 0 to 3 of 8",)


def test_a_state_that_stood_or_fell_says_that_the_block_began_throttled(tmp_path):
    for number, after in enumerate(("2", "1", "0")):
        weighed = weigh(tmp_path / str(number), "cpufreq-cpu0", "2", after)
        assert weighed.evidence == ("cooling device cpufreq-cpu0 was at state 2 of 8 at the start",)


@pytest.mark.parametrize("kind", ["pwm-fan", "Fan", "gpio-fan", "LCD", "TCC Offset", "hot-surface-alert", "iwlwifi_1"])
def test_a_fan_that_spins_up_and_other_devices_are_not_throttling(tmp_path, kind):
    assert weigh(tmp_path, kind, "0", "4") == Weighed()
    assert cooling_kind(kind) is None


def test_a_pc_at_rest_proves_nothing_since_its_firmware_throttles_by_itself(tmp_path):
    assert weigh(tmp_path, "Processor", "0", "0") == Weighed()
    assert cooling_kind("Processor") is CoolingKind.PC_PROCESSOR


def test_powerclamp_says_minus_one_at_rest(tmp_path):
    assert weigh(tmp_path, "intel_powerclamp", "-1", "-1") == Weighed()
    assert weigh(tmp_path, "intel_powerclamp", "-1", "0") == Weighed()


def test_a_gpu_that_stands_at_a_limit_may_have_it_from_its_power_mode(tmp_path):
    weighed = weigh(tmp_path, "devfreq-gpu-gpc-0", "18", "18")
    assert weighed.evidence == ()
    assert "stood at state 18 of 8; a power mode does that too" in weighed.not_looked_at[0]


def test_a_state_that_cannot_be_read_is_told_and_rules_nothing_out(tmp_path):
    weighed = weigh(tmp_path, "cpufreq-cpu0", "0", "")
    assert not weighed.rules_out
    assert weighed.not_looked_at == (f"{FOLDER}0/cur_state is empty",)


def test_a_brake_that_is_denied_spoils_the_no_of_another(tmp_path):
    tree = FakeSysfs(tmp_path)
    device(tree, "cpufreq-cpu0", number=0)
    device(tree, "cpufreq-cpu4", number=1)
    tree.deny(f"{FOLDER}1/cur_state")
    devices = CoolingDevices(tree.system)
    weighed = devices.weigh(devices.look(), devices.look(), ())
    assert not weighed.rules_out
    assert "permission denied" in weighed.not_looked_at[0]


def test_a_device_without_a_highest_state_is_told_without_it(tmp_path):
    tree = FakeSysfs(tmp_path)
    device(tree, "cpufreq-cpu0", "1")
    tree.remove(f"{FOLDER}0/max_state")
    devices = CoolingDevices(tree.system)
    assert devices.weigh(devices.look(), devices.look(), ()).evidence[0].endswith("at state 1 at the start")


def test_an_orin_at_rest_with_its_fan_on_is_not_throttled(tmp_path):
    devices = CoolingDevices(load_tree("jetson_orin_nano", tmp_path).system)
    assert devices.weigh(devices.look(), devices.look(), ()) == Weighed(rules_out=True)
