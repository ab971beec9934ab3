from __future__ import annotations

from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.readings import Scope, Status
from tests.support.fake_sysfs import FakeSysfs, load_tree


def test_the_zone_of_the_processor_is_read_in_degrees(tmp_path):
    meter = TemperatureMeter(load_tree("raspberry_pi_5", tmp_path).system)
    (reading,) = meter.probe()
    assert (reading.name, reading.value, reading.unit, reading.scope) == ("cpu_temperature", 46.3, "Cel", Scope.SOC)
    assert reading.source == (
        "/sys/class/thermal/thermal_zone0/temp (cpu-thermal; trips: critical 110, active 50/60/67.5/75)"
    )
    meter.close()


def test_a_later_read_sees_the_new_value_without_a_new_descriptor(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    meter = TemperatureMeter(tree.system)
    meter.probe()
    opened = tree.open_count
    tree.write("/sys/class/thermal/thermal_zone0/temp", "71000")
    assert [reading.value for reading in meter.read()] == [71.0]
    assert tree.open_count == opened
    meter.close()


def test_a_zone_of_the_mainboard_is_not_taken_for_the_processor(tmp_path):
    readings = TemperatureMeter(load_tree("n100", tmp_path).system).probe()
    assert [(reading.name, reading.value) for reading in readings] == [
        ("temperature", 27.8),
        ("cpu_temperature", 43.0),
    ]


def test_without_a_zone_the_processors_own_driver_is_read(tmp_path):
    (reading,) = TemperatureMeter(load_tree("amd_desktop", tmp_path).system).probe()
    assert (reading.name, reading.value) == ("cpu_temperature", 43.875)
    assert reading.source == "/sys/class/hwmon/hwmon1/temp1_input (k10temp)"


def test_a_broken_zone_gives_its_reason_and_the_driver_stands_in(tmp_path):
    tree = load_tree("amd_desktop", tmp_path)
    tree.write("/sys/class/thermal/thermal_zone0/type", "cpu-thermal")
    tree.write("/sys/class/thermal/thermal_zone0/temp", "-256000")
    broken, stand_in = TemperatureMeter(tree.system).probe()
    assert broken.status is Status.UNAVAILABLE
    assert "says -256 Cel" in broken.reason
    assert stand_in.value == 43.875


def test_absurd_empty_and_worded_values_each_give_their_reason(tmp_path):
    readings = TemperatureMeter(load_tree("absurd_values", tmp_path).system).probe()
    assert [reading.value for reading in readings] == [None] * 4
    assert [reading.name for reading in readings] == [
        "cpu_temperature",
        "gpu_temperature",
        "cpu_temperature",
        "cpu_temperature",
    ]
    reasons = " | ".join(reading.reason for reading in readings)
    for part in ("-256 Cel", "zone1/temp is empty", "'n/a', which is no whole number", "255 Cel"):
        assert part in reasons


def test_a_zone_that_vanishes_between_reads_is_unavailable(tmp_path):
    tree = load_tree("raspberry_pi_5", tmp_path)
    meter = TemperatureMeter(tree.system)
    meter.probe()
    meter.close()
    assert meter.read() == []
    tree.deny("/sys/class/thermal/thermal_zone0/temp")
    tree.remove("/sys/class/hwmon/hwmon0/temp1_input")
    (reading,) = meter.probe()
    assert "permission denied on /sys/class/thermal/thermal_zone0/temp" in reading.reason


def test_nothing_at_all_says_what_was_looked_at(tmp_path):
    (reading,) = TemperatureMeter(FakeSysfs(tmp_path).system).probe()
    assert reading.reason == ("no sensor; looked at /sys/class/thermal (not there), /sys/class/hwmon (not there)")


def test_other_drivers_are_named_in_the_reason(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/sys/class/hwmon/hwmon0/name", "nvme")
    tree.write("/sys/class/hwmon/hwmon0/temp1_input", "35000")
    tree.write("/sys/class/hwmon/hwmon1/other", "")
    (reading,) = TemperatureMeter(tree.system).probe()
    assert "(drivers found: name not told, nvme)" in reading.reason
