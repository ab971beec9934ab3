from __future__ import annotations

import pytest

from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.intel_throttle import IntelThrottle
from tests.support.fake_sysfs import FakeSysfs

CPU = "/sys/devices/system/cpu/cpu"


@pytest.fixture
def tree(tmp_path):
    tree = FakeSysfs(tmp_path)
    for core in range(2):
        for name in ("core_throttle_count", "package_throttle_count", "package_power_limit_count"):
            tree.write(f"{CPU}{core}/thermal_throttle/{name}", "7343")
        tree.write(f"{CPU}{core}/thermal_throttle/core_throttle_total_time_ms", "99")
    return tree


def weigh(tree, changed):
    source = IntelThrottle(tree.system)
    before = source.look()
    for file, text in changed.items():
        tree.write(f"{CPU}{file}", text)
    return source.weigh(before, source.look(), ())


def test_counters_that_stand_rule_throttling_out_whatever_they_stand_at(tree):
    assert weigh(tree, {"0/thermal_throttle/core_throttle_total_time_ms": "200"}) == Weighed(rules_out=True)


def test_episodes_of_a_package_are_counted_once_not_once_a_core(tree):
    changed = {f"{core}/thermal_throttle/package_throttle_count": "7345" for core in range(2)}
    assert weigh(tree, changed).evidence == ("the processor slowed itself down for heat of the package, 2 times",)


def test_the_power_limit_is_a_cause_of_its_own(tree):
    evidence = weigh(tree, {"0/thermal_throttle/package_power_limit_count": "7344"}).evidence
    assert evidence == ("the processor slowed itself down for the power limit of the package, once",)


def test_a_counter_that_cannot_be_read_rules_nothing_out(tree):
    weighed = weigh(tree, {"1/thermal_throttle/core_throttle_count": ""})
    assert not weighed.rules_out
    assert "is empty" in weighed.not_looked_at[0]


def test_counters_of_heat_alone_do_not_speak_for_the_power_limit(tree):
    for core in range(2):
        tree.remove(f"{CPU}{core}/thermal_throttle/package_power_limit_count")
    weighed = weigh(tree, {})
    assert not weighed.rules_out
    (reason,) = weighed.not_looked_at
    assert (
        reason == "reaching the power limit is not counted here; a kernel that is started with int_pln_enable counts it"
    )
    hot = weigh(tree, {"0/thermal_throttle/core_throttle_count": "7344"})
    assert (len(hot.evidence), hot.not_looked_at) == (1, ())


def test_other_processors_have_none(tmp_path):
    source = IntelThrottle(FakeSysfs(tmp_path / "arm").system)
    assert source.weigh(source.look(), source.look(), ()) == Weighed()
