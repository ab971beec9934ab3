from __future__ import annotations

import pytest

from steelyard_agent.cores import CoreSelection
from steelyard_agent.state.errors import StateError
from steelyard_agent.state.settings import DeviceSettings, read_settings
from steelyard_agent.steadying.doing import apply_offers, undo
from steelyard_agent.steadying.offers import find_offers
from tests.agent.steadying.boards import GOVERNOR, governed
from tests.agent.test_cores import rock_5b


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def offers(tree, state):
    return find_offers(tree.system, read_settings(state))


def governor(tree, index=0):
    return tree.system.path(GOVERNOR.format(index)).read_text().strip()


def fix(tree, state):
    return apply_offers(tree.system, offers(tree, state), state)


def test_what_was_fixed_is_undone_to_what_it_was(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand", "schedutil")
    assert all(done.succeeded for done in fix(tree, state))
    assert (governor(tree, 0), governor(tree, 1)) == ("performance", "performance")
    assert offers(tree, state) == ()
    assert all(done.succeeded for done in undo(tree.system, state))
    assert (governor(tree, 0), governor(tree, 1)) == ("ondemand", "schedutil")
    assert undo(tree.system, state) == []


def test_pinning_is_a_setting_that_is_taken_back(tmp_path, state):
    tree = rock_5b(tmp_path / "device", lent="0-7")
    (done,) = fix(tree, state)
    assert done.succeeded
    assert read_settings(state).core_selection is CoreSelection.BIG
    (undone,) = undo(tree.system, state)
    assert "no longer pinned" in undone.sentence
    assert read_settings(state) == DeviceSettings()


def test_without_root_nothing_changes_and_the_sentence_says_sudo(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    found = offers(tree, state)
    tree.refuse_writes(GOVERNOR.format(0))
    (done,) = apply_offers(tree.system, found, state)
    assert not done.succeeded
    assert "only root may write it; run this with sudo" in done.sentence
    assert governor(tree) == "ondemand"


def test_a_driver_that_takes_the_write_and_keeps_its_mind_is_told(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    found = offers(tree, state)
    tree.swallow_writes(GOVERNOR.format(0))
    (done,) = apply_offers(tree.system, found, state)
    assert not done.succeeded
    assert "still holds 'ondemand'" in done.sentence


def test_what_somebody_changed_since_is_left_alone(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    fix(tree, state)
    tree.write(GOVERNOR.format(0), "powersave\n")
    (done,) = undo(tree.system, state)
    assert "somebody changed it since" in done.sentence
    assert governor(tree) == "powersave"
    assert undo(tree.system, state) == []


def test_after_a_boot_there_is_nothing_left_to_put_back(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    fix(tree, state)
    tree.write("/proc/sys/kernel/random/boot_id", "boot-2\n")
    (done,) = undo(tree.system, state)
    assert "started anew" in done.sentence
    assert governor(tree) == "performance"


def test_a_second_fix_remembers_what_was_there_before_the_first(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    fix(tree, state)
    tree.write(GOVERNOR.format(0), "powersave\n")
    fix(tree, state)
    undo(tree.system, state)
    assert governor(tree) == "ondemand"


def test_an_undo_that_was_refused_can_be_tried_again(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    fix(tree, state)
    tree.refuse_writes(GOVERNOR.format(0))
    assert not undo(tree.system, state)[0].succeeded
    tree.refuse_writes()
    assert undo(tree.system, state)[0].succeeded
    assert governor(tree) == "ondemand"


def test_an_undo_of_what_is_back_already_says_so(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    fix(tree, state)
    tree.write(GOVERNOR.format(0), "ondemand\n")
    assert undo(tree.system, state)[0].sentence.endswith("holds ondemand again")


def test_a_file_that_vanished_is_said_to_be_gone(tmp_path, state):
    tree = governed(tmp_path / "device", "ondemand")
    found = offers(tree, state)
    tree.remove(GOVERNOR.format(0))
    (done,) = apply_offers(tree.system, found, state)
    assert "was not changed: No such file" in done.sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 5000,
        '{"changes": [{"file": 1}]}',
        '{"changes": [], "more": 1}',
        '{"changes": [], "boot_id": 5}',
        '{"changes": [], "settings_changed": "no"}',
        # Root would write what a user's file says, wherever it says.
        '{"changes": [{"file": "/etc/passwd", "before": "a", "after": "b"}]}',
        f'{{"changes": [{{"file": "{GOVERNOR.format(0)}/../x/scaling_governor", "before": "a", "after": "b"}}]}}',
        f'{{"changes": [{{"file": "{GOVERNOR.format(0)}", "before": null, "after": "ondemand"}}]}}',
        f'{{"changes": [{{"file": "{GOVERNOR.format(0)}", "before": "a\\n", "after": "ondemand"}}]}}',
    ],
)
def test_a_ledger_that_is_not_ours_stops_everything(tmp_path, state, text):
    tree = governed(tmp_path / "device", "ondemand")
    state.mkdir()
    (state / "fixes.json").write_text(text)
    for act in (lambda: fix(tree, state), lambda: undo(tree.system, state)):
        with pytest.raises(StateError, match=r"fixes\.json, which says what to undo, cannot be read"):
            act()
    assert governor(tree) == "ondemand"


def test_what_cannot_be_remembered_is_not_changed(tmp_path):
    tree = governed(tmp_path / "device", "ondemand")
    state = tmp_path / "file"
    state.mkdir()
    found = offers(tree, state)
    state.rmdir()
    state.write_text("")
    with pytest.raises(StateError, match=r"cannot be read|nothing was changed"):
        apply_offers(tree.system, found, state)
    assert governor(tree) == "ondemand"
