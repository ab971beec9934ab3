"""The alarm of a Raspberry Pi's supply, as the driver rpi_volt tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.meters.under_voltage import UnderVoltageMeter
from steelyard_agent.readings import Scope
from tests.support.fake_sysfs import FakeSysfs, load_tree

CHIP = "/sys/class/hwmon/hwmon3"


@pytest.fixture
def pi(tmp_path: Path) -> FakeSysfs:
    tree = load_tree("raspberry_pi_5", tmp_path)
    tree.write(f"{CHIP}/in0_lcrit_alarm", "0")
    return tree


def test_a_supply_that_is_strong_enough_reads_zero(pi: FakeSysfs) -> None:
    (reading,) = UnderVoltageMeter(pi.system).read()
    assert (reading.name, reading.value, reading.scope) == ("under_voltage", 0.0, Scope.BOARD_INPUT)
    assert reading.source == f"{CHIP}/in0_lcrit_alarm (rpi_volt)"


def test_a_supply_that_becomes_too_weak_is_seen_at_the_next_read(pi: FakeSysfs) -> None:
    meter = UnderVoltageMeter(pi.system)
    meter.read()
    pi.write(f"{CHIP}/in0_lcrit_alarm", "1")
    assert [one.value for one in meter.read()] == [1.0]


def test_an_alarm_that_cannot_be_read_says_nothing(pi: FakeSysfs) -> None:
    pi.write(f"{CHIP}/in0_lcrit_alarm", "not a number")
    assert UnderVoltageMeter(pi.system).read() == []


def test_a_device_without_the_driver_has_no_reading(tmp_path: Path) -> None:
    assert UnderVoltageMeter(load_tree("n100", tmp_path).system).read() == []
