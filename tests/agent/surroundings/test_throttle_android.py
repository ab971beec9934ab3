from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.surroundings.android_thermal import AndroidThermal, parse_status
from steelyard_agent.surroundings.contract import Weighed
from tests.support.fake_sysfs import FakeSysfs, load_tree

COMMAND = "dumpsys thermalservice"
DUMP = (
    "IsStatusOverride: false\nThermal Status: {}\nCached temperatures:\n\tTemperature{{mStatus=3}}\nHAL Ready: true\n"
)


def weigh(tmp_path, before, after):
    tree = FakeSysfs(tmp_path)
    tree.commands[COMMAND] = DUMP.format(before)
    source = AndroidThermal(tree.system)
    first = source.look()
    tree.commands[COMMAND] = DUMP.format(after)
    return source.weigh(first, source.look(), ())


def test_the_status_none_at_both_looks_rules_throttling_out(tmp_path):
    assert weigh(tmp_path, 0, 0) == Weighed(rules_out=True)


def test_a_status_that_rose_is_evidence(tmp_path):
    assert weigh(tmp_path, 0, 1).evidence == ("Android's thermal status rose from NONE to LIGHT",)
    assert weigh(tmp_path, 1, 3).evidence == ("Android's thermal status rose from LIGHT to SEVERE",)


def test_a_phone_that_throttles_already_is_evidence(tmp_path):
    assert weigh(tmp_path, 2, 0).evidence == ("Android's thermal status was MODERATE already",)


def test_a_recorded_phone_is_understood(tmp_path):
    assert AndroidThermal(load_tree("android_generic", tmp_path).system).look().status == 0


def test_a_refusal_is_a_reason_and_is_not_asked_for_again(tmp_path):
    tree = load_tree("pixel_8", tmp_path)
    source = AndroidThermal(tree.system)
    weighed = source.weigh(source.look(), source.look(), ())
    assert "permission denied" in weighed.not_looked_at[0]
    assert tree.asked == [COMMAND]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("HAL Ready: false\nThermal Status: 0\n", "HAL is not ready"),
        ("Can't find service: thermalservice", "printed no thermal status"),
        ("Thermal Status: 9", "printed no thermal status"),
    ],
)
def test_a_service_that_knows_nothing_is_a_reason(text, reason):
    assert reason in parse_status(text).reason


def test_a_service_that_does_not_answer_is_a_reason(tmp_path):
    tree = FakeSysfs(tmp_path)
    tree.commands[COMMAND] = "!dumpsys thermalservice did not answer within 2 s"
    assert AndroidThermal(tree.system).look().reason == "dumpsys thermalservice did not answer within 2 s"


@given(st.text(max_size=60))
def test_any_text_is_a_status_or_a_reason(text):
    parsed = parse_status(text)
    assert (parsed.status is None) == bool(parsed.reason)
