from __future__ import annotations

import pytest

from steelyard_agent.meters.temperature import TemperatureMeter
from steelyard_agent.meters.trip_points import TripPoint, read_trip_points, trips_text
from tests.support.fake_sysfs import FakeSysfs

ZONE = "/sys/class/thermal/thermal_zone0"


@pytest.fixture
def tree(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(f"{ZONE}/type", "cpu-thermal")
    tree.write(f"{ZONE}/temp", "45000")
    return tree


def trip(tree, number, kind, temp):
    tree.write(f"{ZONE}/trip_point_{number}_type", kind)
    tree.write(f"{ZONE}/trip_point_{number}_temp", temp)


def test_trip_points_are_read_in_the_kernels_order(tree):
    for number in (10, 2):
        trip(tree, number, "passive", str(90_000 + number))
    assert read_trip_points(tree.system, ZONE) == (
        TripPoint(number=2, kind="passive", temperature_cel=90.002),
        TripPoint(number=10, kind="passive", temperature_cel=90.01),
    )


@pytest.mark.parametrize("temp", ["-274000", "0", "", "none", "4294967295"])
def test_a_trip_point_without_a_sane_temperature_is_not_in_force(tree, temp):
    trip(tree, 0, "passive", temp)
    assert read_trip_points(tree.system, ZONE) == ()


def test_a_trip_point_without_a_kind_is_left_out(tree):
    tree.write(f"{ZONE}/trip_point_0_temp", "90000")
    assert read_trip_points(tree.system, ZONE) == ()


def test_the_reading_names_its_trip_points_each_temperature_once_a_kind(tree):
    for number, (kind, temp) in enumerate((("passive", "80000"), ("critical", "110000"), ("passive", "85500"))):
        trip(tree, number, kind, temp)
    trip(tree, 3, "passive", "80000")
    (reading,) = TemperatureMeter(tree.system).probe()
    assert reading.source == f"{ZONE}/temp (cpu-thermal; trips: passive 80/85.5, critical 110)"


def test_a_zone_without_trip_points_is_named_as_before(tree):
    (reading,) = TemperatureMeter(tree.system).probe()
    assert reading.source == f"{ZONE}/temp (cpu-thermal)"
    assert trips_text(()) == ""
