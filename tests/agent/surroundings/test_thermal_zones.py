from __future__ import annotations

import pytest

from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.thermal_zones import ThermalZones
from tests.support.fake_sysfs import FakeSysfs, load_tree

ZONE = "/sys/class/thermal/thermal_zone0"


@pytest.fixture
def tree(tmp_path):
    """A processor's zone at 60 C that slows it down from 80 C on."""
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "cpu-thermal", {"passive": 80_000, "critical": 110_000})
    return tree


def zone(tree, number, kind, trips, temp="60000"):
    folder = f"/sys/class/thermal/thermal_zone{number}"
    tree.write(f"{folder}/type", kind)
    tree.write(f"{folder}/temp", temp)
    for index, (trip, at) in enumerate(trips.items()):
        tree.write(f"{folder}/trip_point_{index}_type", trip.split()[0])
        tree.write(f"{folder}/trip_point_{index}_temp", str(at))


def bind(tree, number, trip, cooling_type, cdev=0):
    folder = f"/sys/class/thermal/thermal_zone{number}"
    tree.write(f"{folder}/cdev{cdev}_trip_point", str(trip))
    tree.write(f"{folder}/cdev{cdev}/type", cooling_type)


def weigh(tree, temp_after):
    zones = ThermalZones(tree.system)
    before = zones.look()
    tree.write(f"{ZONE}/temp", temp_after)
    return zones.weigh(before, zones.look(), ())


def test_a_processor_far_below_its_trip_point_rules_throttling_out(tree):
    assert weigh(tree, "70000") == Weighed(rules_out=True)


@pytest.mark.parametrize("temp", ["78000", "80000", "91000"])
def test_within_two_degrees_of_the_trip_point_and_above_is_evidence(tree, temp):
    weighed = weigh(tree, temp)
    assert weighed.evidence == (f"cpu-thermal was at {int(temp) / 1000:.1f} C; it slows the device down from 80 C on",)
    assert not weighed.rules_out


def test_a_block_that_began_hot_is_evidence_too(tree):
    tree.write(f"{ZONE}/temp", "79500")
    assert "79.5 C" in weigh(tree, "60000").evidence[0]


@pytest.mark.parametrize(("temp", "reason"), [("", "is empty"), ("-256000", "says -256 Cel"), ("hot", "'hot'")])
def test_a_zone_that_tells_nothing_now_is_no_no(tree, temp, reason):
    weighed = weigh(tree, temp)
    assert not weighed.rules_out
    assert reason in weighed.not_looked_at[0]


def test_one_good_look_that_is_hot_is_enough(tree):
    tree.write(f"{ZONE}/temp", "81000")
    assert len(weigh(tree, "").evidence) == 1


def test_a_zone_without_a_passive_trip_point_says_nothing(tmp_path):
    for name in ("raspberry_pi_5", "unknown_board", "bare_virtual_machine"):
        zones = ThermalZones(load_tree(name, tmp_path / name).system)
        assert zones.weigh(zones.look(), zones.look(), ()) == Weighed()


@pytest.mark.parametrize("trip", ["-274000", "0", "n/a", "2000000"])
def test_a_trip_point_that_is_disabled_is_none(tmp_path, trip):
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "cpu-thermal", {"passive": trip})
    assert ThermalZones(tree.system).look() == ()


def test_thresholds_of_a_pc_that_only_notify_are_left_alone(tmp_path):
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "x86_pkg_temp", {"passive": 61_000})
    assert ThermalZones(tree.system).look() == ()


def test_a_battery_that_slows_charging_down_says_nothing_about_the_processor(tmp_path):
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "battery", {"passive": 45_000})
    zone(tree, 1, "charger", {"passive": 45_000})
    bind(tree, 1, 0, "bq2419x-charger")
    assert ThermalZones(tree.system).look() == ()


def test_what_is_bound_to_a_trip_point_decides_not_the_zones_name(tmp_path):
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "cluster0_zone", {"passive": 80_000})
    bind(tree, 0, 0, "cpufreq-cpu0")
    assert weigh(tree, "60000") == Weighed(rules_out=True)


def test_a_jetsons_hot_surface_at_seventy_degrees_is_not_throttling(tmp_path):
    tree = load_tree("jetson_orin_nano", tmp_path)
    assert weigh(tree, "75000") == Weighed(rules_out=True)
    assert "slows the device down from 99 C on" in weigh(tree, "98000").evidence[0]


def test_a_gpu_that_is_cool_does_not_speak_for_the_processor(tmp_path):
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "gpu-thermal", {"passive": 80_000})
    assert weigh(tree, "50000") == Weighed()
    assert len(weigh(tree, "80000").evidence) == 1


def test_a_cool_cluster_does_not_speak_for_one_whose_zone_cannot_be_read(tree):
    zone(tree, 1, "bigcore0-thermal", {"passive": 85_000}, temp="-256000")
    weighed = weigh(tree, "50000")
    assert not weighed.rules_out
    assert "says -256 Cel" in weighed.not_looked_at[0]


def test_a_gpu_whose_zone_cannot_be_read_leaves_the_processor_its_say(tree):
    zone(tree, 1, "gpu-thermal", {"passive": 85_000}, temp="")
    weighed = weigh(tree, "50000")
    assert weighed.rules_out
    assert "is empty" in weighed.not_looked_at[0]


def test_of_several_steps_the_first_counts(tmp_path):
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "cpu-thermal", {"passive a": 85_000, "passive b": 75_000})
    assert "from 75 C on" in weigh(tree, "75000").evidence[0]


def test_under_the_power_allocator_the_last_trip_point_counts(tmp_path):
    tree = FakeSysfs(tmp_path)
    zone(tree, 0, "soc-thermal", {"passive switch-on": 75_000, "passive": 85_000})
    tree.write(f"{ZONE}/policy", "power_allocator")
    assert weigh(tree, "76000") == Weighed(rules_out=True)
    assert "from 85 C on" in weigh(tree, "84000").evidence[0]
