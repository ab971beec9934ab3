from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.control.logins import Login, Logins, login_from
from steelyard.errors import UsageError
from steelyard_protocol.v1 import enrollment_pb2

DAY_S = 24 * 3600
NOW_S = 1_796_000_000


def login(controller_id: str = "c0ffee", *addresses: str, user: str = "ada") -> Login:
    credentials = enrollment_pb2.Credentials(
        certificate_pem="certificate",
        authorities_pem="authorities",
        controller_name=f"{controller_id}.steelyard",
        controller_id=controller_id,
        addresses=addresses or ("192.168.1.20:7443",),
    )
    credentials.now.FromSeconds(NOW_S)
    credentials.not_after.FromSeconds(NOW_S + 30 * DAY_S)
    return login_from(credentials, user=user, key_pem=b"key")


def test_a_login_is_renewed_at_two_thirds_of_its_life() -> None:
    assert login().renew_after_s == NOW_S + 20 * DAY_S


def test_a_login_is_kept_for_its_owner_alone_and_reads_back(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "logins")
    folder = logins.save(login())
    assert logins.all() == [login()]
    assert {f"{stat.S_IMODE(one.stat().st_mode):o}" for one in (tmp_path / "logins", folder)} == {"700"}
    assert {f"{stat.S_IMODE(one.stat().st_mode):o}" for one in folder.iterdir()} == {"600"}
    assert "key" not in repr(login()).replace("key_pem", "")


def test_a_newer_login_with_the_same_controller_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "logins")
    logins.save(login())
    logins.save(replace(login(), user="grace"))
    assert [one.user for one in logins.all()] == ["grace"]
    assert len(list((tmp_path / "logins").iterdir())) == 1


def test_the_login_that_names_an_address_is_used_for_it_else_the_only_one(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "logins")
    with pytest.raises(UsageError) as caught:
        logins.for_address("10.0.0.1:7443", NOW_S)
    assert caught.value.reason == "not_logged_in"
    logins.save(login("c0ffee", "192.168.1.20:7443"))
    assert logins.for_address("10.0.0.1:7443", NOW_S).controller_id == "c0ffee"
    logins.save(login("decade", "lab.example.org:7443"))
    assert logins.for_address("lab.example.org:7443", NOW_S).controller_id == "decade"
    with pytest.raises(UsageError, match=r"c0ffee at 192\.168\.1\.20:7443, decade at lab") as caught:
        logins.for_address("10.0.0.1:7443", NOW_S)
    assert caught.value.reason == "several_logins"


def test_an_expired_login_says_what_to_do(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "logins")
    logins.save(login())
    with pytest.raises(UsageError, match="steelyard login CODE") as caught:
        logins.for_address("192.168.1.20:7443", NOW_S + 31 * DAY_S)
    assert caught.value.reason == "login_expired"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"controller_id": "x", "not_after_s": "never"}', None])
def test_a_damaged_login_says_which_folder_to_remove(tmp_path: Path, content: str | None) -> None:
    logins = Logins(tmp_path / "logins")
    folder = logins.save(login())
    (folder / "login.json").unlink()
    if content is not None:
        (folder / "login.json").write_text(content)
    with pytest.raises(UsageError, match=str(folder)) as caught:
        logins.all()
    assert caught.value.reason == "invalid_login"


def test_a_folder_that_is_no_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "logins").write_text("a file")
    with pytest.raises(UsageError) as caught:
        Logins(tmp_path / "logins").save(login())
    assert caught.value.reason == "login_unwritable"
