from __future__ import annotations

import pytest

from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.over_current import OverCurrent
from tests.support.fake_sysfs import FakeSysfs, load_tree

MONITOR, EVENTS = "/sys/class/hwmon/hwmon1", "/sys/class/hwmon/hwmon3"


@pytest.fixture
def tree(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(f"{MONITOR}/name", "ina3221")
    tree.write(f"{MONITOR}/in1_label", "VDD_IN")
    tree.write(f"{MONITOR}/curr1_crit_alarm", "0")
    tree.write(f"{MONITOR}/curr1_max_alarm", "0")
    tree.write(f"{EVENTS}/name", "soctherm_oc")
    for name in ("oc1_event_cnt", "oc2_event_cnt", "oc3_event_cnt"):
        tree.write(f"{EVENTS}/{name}", "37")
    return tree


def weigh(tree, changed):
    source = OverCurrent(tree.system)
    before = source.look()
    for file, text in changed.items():
        tree.write(file, text)
    return source.weigh(before, source.look(), ())


def test_no_alarm_and_no_event_is_no_evidence_and_says_nothing_about_heat(tree):
    assert weigh(tree, {}) == Weighed()


@pytest.mark.parametrize("alarm", ["curr1_crit_alarm", "curr1_max_alarm"])
def test_an_alarm_names_its_rail(tree, alarm):
    assert weigh(tree, {f"{MONITOR}/{alarm}": "1"}).evidence == (f"over-current alarm of VDD_IN ({alarm})",)


@pytest.mark.parametrize(
    ("event", "kind"), [("oc1", "under-voltage"), ("oc2", "over-current"), ("oc3", "over-current")]
)
def test_events_during_the_block_are_evidence_events_before_it_are_not(tree, event, kind):
    (sentence,) = weigh(tree, {f"{EVENTS}/{event}_event_cnt": "40"}).evidence
    assert sentence == (
        f"{kind} ({event}_event_cnt of soctherm_oc) throttled the device: 3 more events during the block"
    )


def test_an_alarm_that_went_out_before_the_end_was_set_before_the_block(tree):
    tree.write(f"{MONITOR}/curr1_crit_alarm", "1")
    assert weigh(tree, {f"{MONITOR}/curr1_crit_alarm": "0"}) == Weighed()


def test_what_cannot_be_read_is_told(tree):
    assert weigh(tree, {f"{MONITOR}/curr1_crit_alarm": ""}).not_looked_at == (f"{MONITOR}/curr1_crit_alarm is empty",)


def test_alarms_of_other_chips_are_left_alone(tree):
    tree.write(f"{MONITOR}/name", "pmbus")
    tree.write(f"{EVENTS}/name", "other")
    assert OverCurrent(tree.system).look() == ()


def test_a_jetson_is_found_by_its_monitor(tmp_path):
    assert set(OverCurrent(load_tree("jetson_orin_nano", tmp_path).system).look()) == {0}
