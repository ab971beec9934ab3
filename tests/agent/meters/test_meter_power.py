from __future__ import annotations

import json

import pytest

from steelyard_agent.meters.catalog import all_meters, probe_meters
from steelyard_agent.meters.power import PowerMeter, find_power_sources
from steelyard_agent.meters.power_source import (
    PowerSource,
    SourceReader,
    read_source,
    source_from_json,
    source_to_json,
)
from steelyard_agent.readings import Kind, Scope
from tests.support.fake_sysfs import FIXTURES, FakeSysfs, load_tree

RAPL = "/sys/class/powercap/intel-rapl:"


def test_rapl_zones_are_counters_and_the_mmio_duplicate_is_left_out(tmp_path):
    found = find_power_sources(load_tree("n100", tmp_path).system)
    assert [source.name for source in found.sources] == ["package_energy", "core_energy", "uncore_energy"]
    assert not any("mmio" in source.description for source in found.sources)
    assert {source.range_max_counts for source in found.sources} == {262143328850}
    assert found.missing == ()


def test_a_usb_port_that_negotiated_27_watts_is_not_power(tmp_path):
    readings = PowerMeter(load_tree("n100", tmp_path).system).probe()
    assert all(reading.unit == "J" for reading in readings)


def test_the_counter_is_read_in_joules(tmp_path):
    tree = load_tree("n100", tmp_path)
    meter = PowerMeter(tree.system)
    package = meter.probe()[0]
    assert package.value == pytest.approx(142857.142857)
    assert (package.kind, package.scope, package.unit) == (Kind.COUNTER, Scope.SOC, "J")
    opened = tree.open_count
    tree.write(RAPL + "0/energy_uj", "142857242857")
    assert meter.read()[0].value == pytest.approx(142857.242857)
    assert tree.open_count == opened
    meter.close()


def test_amd_counts_under_the_same_name(tmp_path):
    found = find_power_sources(load_tree("amd_desktop", tmp_path).system)
    assert [source.name for source in found.sources] == ["package_energy", "core_energy"]
    assert found.sources[0].range_max_counts == 65532610987


def test_the_step_of_a_counter_is_the_unit_that_its_range_tells_and_intel_says_how_often(tmp_path):
    intel, *_ = find_power_sources(load_tree("n100", tmp_path / "intel").system).sources
    amd, *_ = find_power_sources(load_tree("amd_desktop", tmp_path / "amd").system).sources
    assert (intel.resolution, amd.resolution) == (
        pytest.approx(61.035e-6, rel=1e-5),
        pytest.approx(15.258e-6, rel=1e-5),
    )
    assert (intel.rate_hz, amd.rate_hz) == (1000, None)
    tree = load_tree("n100", tmp_path / "other")
    tree.write(RAPL + "0/max_energy_range_uj", "150000000000")
    tree.deny("/proc/cpuinfo")
    reading = PowerMeter(tree.system).probe()[0]
    assert (reading.resolution, reading.rate_hz) == (pytest.approx(34.9e-6, rel=1e-3), None)


def test_a_denied_counter_names_the_permission_and_what_to_do(tmp_path):
    tree = load_tree("n100", tmp_path)
    for zone in ("0", "0:0", "0:1"):
        tree.deny(f"{RAPL}{zone}/energy_uj")
    readings = PowerMeter(tree.system).probe()
    assert [reading.value for reading in readings] == [None] * 3
    assert "mode 0400 since Linux 5.10" in readings[0].reason
    assert "sudo chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj" in readings[0].reason


def test_zones_of_an_unknown_domain_are_left_out(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(RAPL + "0/name", "mystery")
    tree.write(RAPL + "0/energy_uj", "1")
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.name == "power"


def test_a_package_of_several_dies_is_a_package(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(RAPL + "0/name", "package-0-die-1")
    tree.write(RAPL + "0/energy_uj", "1000000")
    tree.write(RAPL + "0/max_energy_range_uj", "262143328850")
    (reading,) = PowerMeter(tree.system).probe()
    assert (reading.name, reading.value) == ("package_energy", 1.0)


def test_chips_are_believed_by_driver_and_label(tmp_path):
    readings = {reading.name: reading for reading in PowerMeter(load_tree("power_chips", tmp_path).system).probe()}
    watts = {(r.source.split("(")[1].split(",")[0], name): r.value for name, r in readings.items()}
    assert readings["vdd_in_power"].value == pytest.approx(5.072 * 0.96)
    assert readings["vdd_in_power"].scope is Scope.MODULE
    assert readings["vdd_cpu_gpu_cv_power"].scope is Scope.BOARD_RAILS
    assert "vdd_soc_power" not in readings, "a disabled channel has no value"
    assert ("ina260", "power") in watts
    assert not any("in4_input" in reading.source for reading in readings.values())


def test_the_shunt_is_told_and_the_drivers_default_is_warned_of(tmp_path):
    found = find_power_sources(load_tree("power_chips", tmp_path).system)
    by_driver = {source.detail.split(",")[0]: source for source in found.sources}
    assert by_driver["ina226"].detail == "ina226, shunt 2 mOhm"
    assert by_driver["ina226"].caution == ""
    assert by_driver["ina219"].resolution == 0.02
    assert "100 mOhm reads ten times too high" in by_driver["ina219"].caution
    assert by_driver["ina260"].detail == "ina260, shunt in the chip"
    assert by_driver["ina3221"].detail.endswith("shunt 5 mOhm")


def test_an_unlabelled_or_unconnected_rail_is_no_source(tmp_path):
    found = find_power_sources(load_tree("power_chips", tmp_path).system)
    assert not any("hwmon4" in file for source in found.sources for file in source.addresses)


def test_a_chip_without_a_power_file_is_no_source(tmp_path):
    tree = FakeSysfs(tmp_path)
    for index, driver in enumerate(("ina226", "ina260")):
        tree.write(f"/sys/class/hwmon/hwmon{index}/name", driver)
    (reading,) = PowerMeter(tree.system).probe()
    assert "drivers found: ina226, ina260" in reading.reason


def test_a_shunt_that_is_not_told_is_not_made_up(tmp_path):
    tree = FakeSysfs(tmp_path)
    for name, text in (("name", "ina226"), ("power1_input", "1000000"), ("shunt_resistor", "0"), ("label", "5V")):
        tree.write(f"/sys/class/hwmon/hwmon0/{name}", text)
    tree.write("/sys/class/hwmon/hwmon1/name", "ina3221")
    for name, text in (("in1_label", "12V"), ("in1_input", "12000"), ("curr1_input", "500")):
        tree.write(f"/sys/class/hwmon/hwmon1/{name}", text)
    one, two = PowerMeter(tree.system).probe()
    assert one.source.endswith("(ina226, 5V, shunt not told)")
    assert (one.name, one.value, one.resolution) == ("5v_power", 1.0, None)
    assert two.value == pytest.approx(6.0)
    assert two.source.endswith("shunt not told)")


def test_a_shunt_that_no_board_carries_leaves_the_step_unknown_not_zero(tmp_path):
    tree = FakeSysfs(tmp_path)
    for name, text in (("name", "ina226"), ("power1_input", "1000000"), ("shunt_resistor", "99999999999")):
        tree.write(f"/sys/class/hwmon/hwmon0/{name}", text)
    assert PowerMeter(tree.system).probe()[0].resolution is None


@pytest.mark.parametrize(("milliamperes", "watts"), [("-8", -0.04), ("-16", -0.08), ("-24", None)])
def test_a_rail_at_rest_may_read_below_zero_by_its_chips_offset(tmp_path, milliamperes, watts):
    tree = FakeSysfs(tmp_path)
    chip = {"name": "ina3221", "in1_label": "VDD_CPU", "in1_input": "5000", "shunt1_resistor": "5000"}
    for name, text in {**chip, "curr1_input": milliamperes}.items():
        tree.write(f"/sys/class/hwmon/hwmon0/{name}", text)
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.value == (None if watts is None else pytest.approx(watts))
    assert "says -0.12 W, which is outside -0.08 to" in reading.reason or watts is not None


def test_names_of_drivers_and_labels_are_shown_in_one_line_without_control_characters(tmp_path):
    tree = FakeSysfs(tmp_path)
    chip = {"name": "ina226", "label": "\x1b[31m5V\nrail" + "x" * 9000, "power1_input": "1000000"}
    for name, text in chip.items():
        tree.write(f"/sys/class/hwmon/hwmon0/{name}", text)
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.source.isprintable()
    assert len(reading.source) < 200
    tree.write("/sys/class/hwmon/hwmon0/name", "evil\x07\x1b[2J")
    assert "drivers found: evil??[2J" in PowerMeter(tree.system).probe()[0].reason


def test_absurd_values_are_unavailable_with_the_value_in_the_reason(tmp_path):
    readings = PowerMeter(load_tree("absurd_values", tmp_path).system).probe()
    assert all(reading.value is None for reading in readings)
    reasons = [reading.reason for reading in readings]
    for part in (
        "says 5000, which is outside its own range of 0 to 1000",
        "max_energy_range_uj says 0: its counter cannot be used",
        "intel-rapl:2/energy_uj is empty",
        "says -0.025 W, which is outside -0.00125 to 10000 W",
        "says 1e+07 W",
    ):
        assert any(part in reason for reason in reasons), part


def test_a_counter_without_a_range_file_is_unavailable(tmp_path):
    tree = load_tree("n100", tmp_path)
    tree.remove(RAPL + "0/max_energy_range_uj")
    found = find_power_sources(tree.system)
    assert "max_energy_range_uj is not there" in found.missing[0].reason


def test_no_sensor_says_what_was_looked_at(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/sys/class/powercap/dtpm/enabled", "1")
    for index, name in enumerate(("nvme", "k10temp")):
        tree.write(f"/sys/class/hwmon/hwmon{index}/name", name)
    (reading,) = PowerMeter(tree.system).probe()
    assert reading.reason == (
        "no sensor; looked at /sys/class/powercap, /sys/class/hwmon (drivers found: k10temp, nvme), "
        "/sys/class/power_supply (not there)"
    )


def test_the_converter_of_a_raspberry_pi_5_is_not_power(tmp_path):
    readings = PowerMeter(load_tree("raspberry_pi_5", tmp_path).system).probe()
    assert [reading.source.split(" (")[0] for reading in readings] == ["vcgencmd pmic_read_adc"]


def test_a_negotiated_contract_and_its_port_are_told_as_seen_not_as_power(tmp_path):
    (reading,) = PowerMeter(load_tree("rock_5b", tmp_path).system).probe()
    assert reading.value is None
    assert "drivers found: soc_thermal, tcpm_source_psy_4_0022" in reading.reason
    assert "supplies found: tcpm-source-psy-4-0022" in reading.reason


def test_a_source_that_fails_later_gives_its_reason(tmp_path):
    tree = load_tree("n100", tmp_path)
    meter = PowerMeter(tree.system)
    meter.probe()
    tree.write(RAPL + "0/energy_uj", "")
    assert "is empty" in meter.read()[0].reason
    meter.close()


def test_a_source_travels_as_json(tmp_path):
    for source in find_power_sources(load_tree("power_chips", tmp_path).system).sources:
        assert source_from_json(json.loads(json.dumps(source_to_json(source)))) == source


@pytest.mark.parametrize(
    "change", [{"extra": 1}, {"addresses": "x"}, {"addresses": [1]}, {"addresses": []}, {"kind": "?"}]
)
def test_a_record_that_is_no_source_is_refused(tmp_path, change):
    source = find_power_sources(load_tree("n100", tmp_path).system).sources[0]
    with pytest.raises(ValueError):
        source_from_json({**source_to_json(source), **change})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"scale": 0.0}, "scale"),
        ({"access": "shell"}, "no access 'shell'"),
        ({"averaging_s": -1.0}, "averaging -1.0 s"),
        ({"least_period_s": 61.0}, "least period 61.0 s"),
        ({"update_period_s": 0.0}, "update period 0.0 s"),
    ],
)
def test_a_source_of_nonsense_is_refused(change, part):
    fields = {"name": "x", "kind": Kind.SAMPLED, "scope": Scope.SOC, "addresses": ("/x",), "detail": "", "scale": 1.0}
    with pytest.raises(ValueError, match=part):
        PowerSource(**{**fields, **change})


def test_a_source_that_cannot_be_read_is_refused():
    common = {"name": "x", "scope": Scope.SOC, "addresses": ("/x",), "detail": ""}
    with pytest.raises(ValueError, match="scale"):
        PowerSource(kind=Kind.SAMPLED, scale=0.0, **common)
    with pytest.raises(ValueError, match="counter without a range"):
        PowerSource(kind=Kind.COUNTER, scale=1.0, **common)


def test_a_caution_comes_with_the_value(tmp_path):
    tree = load_tree("power_chips", tmp_path)
    source = next(source for source in find_power_sources(tree.system).sources if source.caution)
    reader = SourceReader(tree.system, source)
    assert "default of 10 mOhm" in read_source(reader).reason
    reader.close()


@pytest.mark.parametrize("name", sorted(path.stem for path in (FIXTURES / "sysfs").glob("*.toml")))
def test_every_meter_answers_on_every_tree(tmp_path, name):
    system = load_tree(name, tmp_path).system
    for meter in all_meters(system):
        assert meter.probe(), meter.name
        assert all(reading.value is not None or reading.reason for reading in meter.read())
        meter.close()
    assert len(probe_meters(system).readings) >= 3
