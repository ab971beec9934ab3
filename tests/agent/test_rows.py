from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.doctor import diagnosis_lines
from steelyard_agent.profiles import Match, Profile
from steelyard_agent.profiles.text import list_lines, profile_lines
from steelyard_agent.rows import LINE_WIDTH, row, visible
from tests.support.fake_sysfs import FakeSysfs
from tests.support.goldens import examine


def test_texts_begin_on_lines_of_their_own_beside_the_name():
    assert row("cores", ["four", "fast"]) == ["  cores        four", "               fast"]
    assert row("a-name-of-sixteen", ["text"]) == ["  a-name-of-sixteen", "               text"]
    assert row("nothing", []) == ["  nothing"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cpu\x1b[2J-thermal", "cpu\\x1b[2J-thermal"),
        ("right \u202e left", "right \\u202e left"),
        ("a\tb\nc\r\n", "a b c  "),
        ("f\xfcr 40 \xb0C \U0001f600", "f\xfcr 40 \xb0C \U0001f600"),
        ("lone \udcff", "lone \\udcff"),
        ("", ""),
    ],
)
def test_what_would_steer_a_terminal_is_shown_not_obeyed(text, shown):
    assert visible(text) == shown


@given(st.text(), st.lists(st.text(), max_size=3))
def test_whatever_is_told_is_printable_and_what_wraps_fits(name, texts):
    lines = row(name, texts)
    assert all(line.isprintable() for line in lines)
    assert all(len(line) <= LINE_WIDTH for line in lines[1:])


def test_a_board_whose_files_hold_control_characters_cannot_steer_the_doctors_terminal(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.write("/proc/device-tree/model", "Evil \x1b[31mboard\x07\x00")
    tree.write("/sys/class/thermal/thermal_zone0/type", "cpu\x1b[2J-thermal")
    tree.write("/sys/class/thermal/thermal_zone0/temp", "41000")
    tree.write("/sys/class/thermal/cooling_device0/type", "cpufreq-\x1b]0;x\x07")
    tree.write("/sys/class/thermal/cooling_device0/cur_state", "0")
    tree.write("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "\u202eondemand")
    lines = diagnosis_lines(examine(tree))
    assert all(line.isprintable() for line in lines)
    assert any("Evil \\x1b[31mboard\\x07" in line for line in lines)


def test_a_profile_of_somebody_elses_cannot_either():
    profile = Profile(name="mine", title="Mine \x1b[2J", match=Match(processors=("x\x07",)), origin="/a\x1b/mine.toml")
    lines = [*list_lines([profile]), *profile_lines(profile)]
    assert all(line.isprintable() for line in lines)
    assert "mine: Mine \\x1b[2J" in lines
