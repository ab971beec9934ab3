from __future__ import annotations

import pytest

from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.frequency_limits import FrequencyLimits
from tests.support.fake_sysfs import FakeSysfs

CPU = "/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"
GPU = "/sys/class/devfreq/17000000.gpu/max_freq"


@pytest.fixture
def tree(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write(CPU, "2400000")
    tree.write(GPU, "624750000")
    return tree


def weigh(tree, file, text):
    limits = FrequencyLimits(tree.system)
    before = limits.look()
    tree.write(file, text)
    return limits.weigh(before, limits.look(), ())


def test_a_limit_that_fell_is_evidence_in_one_unit(tree):
    assert weigh(tree, CPU, "1500000").evidence == ("the limit of policy0 fell from 2400 to 1500 MHz",)
    assert weigh(tree, GPU, "306000000").evidence == ("the limit of 17000000.gpu fell from 624.75 to 306 MHz",)


@pytest.mark.parametrize("text", ["2400000", "2600000", "", "none"])
def test_a_limit_that_stands_rises_or_is_not_told_says_nothing(tree, text):
    assert weigh(tree, CPU, text) == Weighed()
