"""What root writes into a user's state directory; the giving away itself is root's alone and is recorded here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from steelyard_agent.state.durable import write_durably
from steelyard_agent.state.ownership import keeping_the_owner


class Giving:
    """Records what is given away, and to whom."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, path: Path, user_id: int, group_id: int) -> None:
        assert (user_id, group_id) == (4711, 4712)
        self.given.append(path.name)


@pytest.fixture
def a_users_home(tmp_path, monkeypatch):
    """A folder that belongs to the user 4711; what is made in it belongs to whoever runs this."""
    real = Path.stat
    home = tmp_path / "home"
    home.mkdir()

    def stat(path, **more):
        found = real(path, **more)
        if path != home:
            return found
        return os.stat_result((*found[:4], 4711, 4712, *found[6:10]))

    monkeypatch.setattr(Path, "stat", stat)
    return home


def test_what_root_makes_in_a_users_folder_is_given_to_the_user(a_users_home):
    root, giving = a_users_home / "state" / "agent", Giving()
    with keeping_the_owner(root, ("settings.json", "fixes.json"), user_id=0, give=giving):
        root.mkdir(parents=True)
        write_durably(root / "settings.json", b"{}")
    assert sorted(giving.given) == ["agent", "settings.json", "state"]


def test_it_is_given_also_when_the_change_failed(a_users_home):
    root, giving = a_users_home / "agent", Giving()

    def fail_half_way():
        with keeping_the_owner(root, (), user_id=0, give=giving):
            root.mkdir()
            (root / "gone").read_text()

    with pytest.raises(FileNotFoundError):
        fail_half_way()
    assert giving.given == ["agent"]


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_what_is_somebody_elses_file_under_our_name_is_not_given_away(a_users_home, tmp_path, kind):
    (tmp_path / "shadow").write_text("secret")
    if kind == "link":
        (a_users_home / "settings.json").symlink_to(tmp_path / "shadow")
    else:
        (a_users_home / "settings.json").hardlink_to(tmp_path / "shadow")
    giving = Giving()
    with keeping_the_owner(a_users_home, ("settings.json",), user_id=0, give=giving):
        pass
    assert giving.given == []


def test_who_is_not_root_gives_nothing_away(a_users_home):
    giving = Giving()
    with keeping_the_owner(a_users_home / "agent", (), user_id=4711, give=giving):
        (a_users_home / "agent").mkdir()
    assert giving.given == []


def test_a_link_in_place_of_the_temporary_file_is_not_written_through(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".settings.json.tmp").symlink_to(tmp_path / "victim")
    write_durably(tmp_path / "settings.json", b"{}")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "settings.json").read_bytes() == b"{}"
    assert not (tmp_path / "settings.json").is_symlink()
