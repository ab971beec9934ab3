from __future__ import annotations

import logging
import os
import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest

from steelyard.identity.authority import make_authority
from steelyard.identity.errors import IdentityError
from steelyard.identity.folder import IdentityFolder

CONTROLLER = "c0ffee" * 5 + "00"
NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


def modes(folder: Path) -> set[str]:
    return {f"{stat.S_IMODE(one.stat().st_mode):04o}" for one in folder.iterdir()}


def test_keys_are_made_once_for_their_owner_alone_and_never_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = os.umask(0)
    try:
        with caplog.at_level(logging.DEBUG):
            first = IdentityFolder(tmp_path / "identity").open(CONTROLLER, NOW)
    finally:
        os.umask(before)
    again = IdentityFolder(tmp_path / "identity").open(CONTROLLER, NOW)
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o700
    assert modes(tmp_path / "identity") == {"0600"}
    assert again.authority.key_pem == first.authority.key_pem
    assert again.enrollment.digest == first.enrollment.digest
    assert "PRIVATE" not in caplog.text


@pytest.mark.parametrize("name", ["", "authority.pem", "enrollment.pem"])
def test_keys_that_others_may_have_read_are_not_used(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "identity"
    IdentityFolder(folder).open(CONTROLLER, NOW)
    (folder / name).chmod(0o755 if not name else 0o640)
    with pytest.raises(IdentityError, match="chmod") as caught:
        IdentityFolder(folder).open(CONTROLLER, NOW)
    assert caught.value.reason == "key_exposed"


def test_a_damaged_file_says_which_and_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    IdentityFolder(folder).open(CONTROLLER, NOW)
    (folder / "authority.pem").write_bytes(b"nothing")
    with pytest.raises(IdentityError, match=r"authority\.pem") as caught:
        IdentityFolder(folder).open(CONTROLLER, NOW)
    assert caught.value.reason == "key_unreadable"
    assert (folder / "authority.pem").read_bytes() == b"nothing"


def test_a_change_keeps_both_until_it_ends_and_removes_the_old_key(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path / "identity")
    old = folder.open(CONTROLLER, NOW)
    during = folder.begin_change(CONTROLLER, NOW)
    assert during.following is not None
    assert during.signer is during.following
    assert [one.digest for one in during.trusted] == [during.following.digest, old.authority.digest]
    assert during.authorities_pem.count(b"BEGIN CERTIFICATE") == 2
    after = folder.finish_change(CONTROLLER, NOW)
    assert after.following is None
    assert after.authority.digest == during.following.digest
    left = b"".join(one.read_bytes() for one in folder.path.iterdir())
    assert old.authority.key_pem not in left


def test_an_authority_is_imported_only_where_there_is_none(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path / "identity")
    authority = make_authority(CONTROLLER, NOW)
    folder.put_authority(authority)
    assert folder.open(CONTROLLER, NOW).authority.digest == authority.digest
    assert modes(folder.path) == {"0600"}
    with pytest.raises(IdentityError) as caught:
        folder.put_authority(make_authority(CONTROLLER, NOW))
    assert caught.value.reason == "authority_exists"


def test_what_a_killed_process_left_does_not_stand_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    folder.mkdir(mode=0o700)
    (folder / ".authority.pem.partial").write_bytes(b"half a k")
    IdentityFolder(folder).open(CONTROLLER, NOW)
    assert {one.name for one in folder.iterdir()} == {"authority.pem", "enrollment.pem"}


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "identity").write_text("a file")
    with pytest.raises(IdentityError) as caught:
        IdentityFolder(tmp_path / "identity").open(CONTROLLER, NOW)
    assert caught.value.reason in {"key_unreadable", "key_exposed"}
