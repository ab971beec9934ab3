from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.profiles import (
    Identity,
    ProfileError,
    is_shipped,
    load_profiles,
    match_profile,
    read_profile,
    read_shelf,
    user_folders,
)
from steelyard_agent.profiles.library import shipped_folder

MINE = """
schema_version = 2
name = "{name}"
title = "Mine"
[match]
device_tree_compatibles = ["raspberrypi,5-model-b"]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    return folder


def test_a_users_profile_takes_the_place_of_the_shipped_one_of_its_name(mine):
    (mine / "x.toml").write_text(MINE.format(name="raspberry-pi-5"))
    profiles = load_profiles([mine])
    (found,) = [one for one in profiles if one.name == "raspberry-pi-5"]
    assert (found.title, found.origin, is_shipped(found)) == ("Mine", str(mine / "x.toml"), False)
    assert len(profiles) == len(load_profiles())


def test_a_users_profile_is_asked_before_the_shipped_one_that_matches_too(mine):
    (mine / "x.toml").write_text(MINE.format(name="zebra"))
    found = match_profile(Identity(device_tree_compatibles=("raspberrypi,5-model-b",)), load_profiles([mine]))
    assert found is not None
    assert found.name == "zebra"


def test_a_broken_one_is_left_out_with_a_sentence_and_the_rest_is_there(mine):
    (mine / "a.toml").write_text("schema_version = 2\n")
    (mine / "b.toml").write_text(MINE.format(name="good"))
    shelf = read_shelf([mine])
    assert "good" in {one.name for one in shelf.profiles}
    (complaint,) = shelf.complaints
    assert "a.toml: name is missing" in str(complaint)
    with pytest.raises(ProfileError, match="name is missing"):
        load_profiles([mine])


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"name = '\xff'", "is not UTF-8; save it as UTF-8"), (None, "cannot be read (Is a directory)")],
)
def test_a_file_that_cannot_be_read_is_an_error_of_ours(mine, content, said):
    file = mine / "x.toml"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(ProfileError) as caught:
        read_profile(file)
    assert said in str(caught.value)


def test_the_folder_that_is_named_counts_last(tmp_path, mine):
    assert user_folders(tmp_path, tmp_path, named=mine) == (mine,)
    other = tmp_path / "other"
    assert user_folders(other, tmp_path) == (other / "profiles", mine)
    assert load_profiles(user_folders(other)) == load_profiles(), "no folder of yours is no trouble"


def test_a_named_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ProfileError, match=r"--profiles .*nowhere is no folder"):
        user_folders(tmp_path, named=tmp_path / "nowhere")


def test_the_shipped_ones_lie_beside_the_agent_in_a_checkout():
    assert (shipped_folder() / "raspberry-pi-5.toml").is_file()
