from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.meters.vcgencmd import parse_clock, parse_throttled
from steelyard_agent.surroundings.contract import Weighed
from steelyard_agent.surroundings.pi_firmware import PiFirmware, flags_text
from tests.support.fake_sysfs import FakeSysfs

COMMAND = "vcgencmd get_throttled"


def weigh(tmp_path, before, after):
    tree = FakeSysfs(tmp_path)
    tree.commands[COMMAND] = f"throttled={before:#x}"
    firmware = PiFirmware(tree.system)
    first = firmware.look()
    tree.commands[COMMAND] = f"throttled={after:#x}"
    return firmware.weigh(first, firmware.look(), ())


def test_no_flag_at_all_rules_throttling_out(tmp_path):
    assert weigh(tmp_path, 0x0, 0x0) == Weighed(rules_out=True)


@pytest.mark.parametrize(
    ("after", "word"), [(0x1, "under-voltage"), (0x2, "capped"), (0x4, "throttled"), (0x8, "soft temperature limit")]
)
def test_a_flag_that_stands_now_is_evidence(tmp_path, after, word):
    (sentence,) = weigh(tmp_path, 0x0, after | after << 16).evidence
    assert word in sentence
    assert f"(get_throttled 0x0, then {after | after << 16:#x})" in sentence


def test_a_sticky_flag_that_came_up_during_the_block_is_evidence(tmp_path):
    weighed = weigh(tmp_path, 0x10000, 0x50000)
    assert weighed.evidence == ("throttled during the block (get_throttled 0x10000, then 0x50000)",)


def test_a_sticky_flag_of_earlier_proves_nothing_and_hides_what_came_since(tmp_path):
    weighed = weigh(tmp_path, 0x50000, 0x50000)
    assert (weighed.evidence, weighed.rules_out) == ((), False)
    assert weighed.not_looked_at == (
        "under-voltage and throttled since boot already, which hides whether again; restart the Pi",
    )


def test_a_block_that_began_throttled_is_evidence(tmp_path):
    evidence = weigh(tmp_path, 0x40004, 0x40000).evidence
    assert evidence == ("throttled at the time of the block (get_throttled 0x40004, then 0x40000)",)


def test_flags_that_stood_all_along_are_shown_once(tmp_path):
    assert weigh(tmp_path, 0x40004, 0x40004).evidence[0].endswith("(get_throttled 0x40004)")


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0x0, "no flag since boot"),
        (0x50000, "under-voltage and throttled since boot"),
        (0x50005, "under-voltage and throttled now; under-voltage and throttled since boot"),
        (0x80008, "soft temperature limit now; soft temperature limit since boot"),
        (0x20000, "clock capped since boot"),
        (0xFF00FFF0, "no flag since boot"),
    ],
)
def test_the_firmwares_word_is_told_in_words(bits, text):
    assert flags_text(bits) == text


def test_firmware_that_gives_no_answer_at_the_start_is_not_asked_again(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands[COMMAND] = "!vcgencmd get_throttled ended with status 255 and said: VCHI initialization failed"
    firmware = PiFirmware(tree.system)
    weighed = firmware.weigh(firmware.look(), firmware.look(), ())
    assert "VCHI initialization failed" in weighed.not_looked_at[0]
    assert tree.asked == [COMMAND]


def test_an_answer_that_is_no_flags_is_told(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands[COMMAND] = "error=2"
    firmware = PiFirmware(tree.system)
    assert firmware.look().reason == "vcgencmd get_throttled says 'error=2', which is no flags"


@given(st.integers(0, 0xFFFFF), st.integers(0, 0xFFFFF))
def test_every_pair_of_words_gives_a_ground(before, after):
    # The flags since boot never go out again.
    after |= before & 0xF0000
    weighed = _weigh_words(before, after)
    assert bool(weighed.evidence) or bool(weighed.not_looked_at) or weighed.rules_out


@given(st.integers(0, 0xFFFFFFFF))
def test_the_firmwares_word_is_read_back(bits):
    assert parse_throttled(f"throttled={bits:#x}\n") == bits


@given(st.text(max_size=30))
def test_any_other_text_is_no_word_and_no_clock(text):
    assert parse_throttled(f"x{text}") is None
    assert parse_clock(f"x{text}") is None


@pytest.mark.parametrize("index", [0, 45, 48])
def test_the_clock_is_read_in_hertz(index):
    assert parse_clock(f"frequency({index})=1500345728") == 1_500_345_728


def test_a_clock_of_nothing_and_an_absurd_one_are_none():
    assert parse_clock("frequency(48)=0") is None
    assert parse_clock("frequency(48)=999999999999") is None


def _weigh_words(before, after):
    tree = FakeSysfs(Path("/nowhere"))
    tree.commands[COMMAND] = "throttled=0x0"
    firmware = PiFirmware(tree.system)
    tree.commands[COMMAND] = f"throttled={before:#x}"
    first = firmware.look()
    tree.commands[COMMAND] = f"throttled={after:#x}"
    return firmware.weigh(first, firmware.look(), ())
