from __future__ import annotations

from steelyard_agent.surroundings.contract import Circumstance, Weighed
from steelyard_agent.surroundings.power_mode import JetsonPowerMode, parse_power_mode, weigh_power_mode
from tests.support.fake_sysfs import FakeSysfs, load_tree

COMMAND = "nvpmodel -q"


def mode(value, reason=""):
    return [Circumstance(name="power_mode", value=value, reason=reason)]


def test_the_mode_is_read_from_what_nvpmodel_prints(tmp_path):
    source = JetsonPowerMode(load_tree("jetson_orin_nano", tmp_path).system)
    assert source.read() == mode("15W")
    assert source.objection(mode("15W"), mode("MAXN")) == ""


def test_warnings_around_the_mode_and_names_with_blanks_are_read():
    assert parse_power_mode("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_15W_6CORE\n2") == "MODE_15W_6CORE"
    assert parse_power_mode("NV Fan Mode:quiet\nNV Power Mode: MAXN SUPER \n0") == "MAXN SUPER"
    assert parse_power_mode("NV Power Mode:\n0") == ""


def test_a_mode_that_changed_during_the_block_is_evidence():
    weighed = weigh_power_mode(mode("MAXN"), mode("15W"))
    assert weighed.evidence == ("the power mode changed from MAXN to 15W during the block",)


def test_the_same_mode_and_no_mode_are_none():
    assert weigh_power_mode(mode("15W"), mode("15W")) == Weighed()
    assert weigh_power_mode(mode(None, "denied"), mode("15W")) == Weighed()
    assert weigh_power_mode([], []) == Weighed()


def test_a_jetson_without_nvpmodel_says_so_and_is_not_asked_again(tmp_path):
    tree = FakeSysfs(tmp_path)
    source = JetsonPowerMode(tree.system)
    for _ in range(2):
        assert source.read() == mode(None, "the program nvpmodel is not installed here")
    assert tree.asked == [COMMAND]


def test_an_answer_without_a_mode_is_a_reason(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands[COMMAND] = "NVPM ERROR: no config"
    assert JetsonPowerMode(tree.system).read() == mode(None, "nvpmodel -q named no mode")


def test_a_mode_that_goes_missing_later_is_told(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands[COMMAND] = "NV Power Mode: MAXN\n0"
    source = JetsonPowerMode(tree.system)
    tree.commands[COMMAND] = "!nvpmodel -q did not answer within 2 s"
    assert source.read() == mode(None, "nvpmodel -q did not answer within 2 s")
