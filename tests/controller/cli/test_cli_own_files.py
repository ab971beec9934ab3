"""Commands that read the files of this machine: not those of a controller elsewhere, and no passphrase from nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controller.cli.running import run_command

ELSEWHERE = "192.168.1.20:7443"


@pytest.mark.parametrize(
    "words",
    [("backup", "copy.tar"), ("restore", "copy.tar"), ("ca", "import", "authority.p12")],
    ids=["backup", "restore", "import"],
)
def test_a_controller_elsewhere_is_not_mistaken_for_the_one_here(words: tuple[str, ...], tmp_path: Path) -> None:
    state = tmp_path / "state"
    ran = run_command("--state-directory", str(state), "--controller", ELSEWHERE, *words)
    line = ran.is_refused()
    assert f"the files of controller {ELSEWHERE} are not on this machine" in line
    assert not state.exists()


@pytest.mark.parametrize("words", [("backup", "copy.tar", "--with-identity"), ("ca", "export", "authority.p12")])
def test_without_a_terminal_a_passphrase_is_not_asked_for(words: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_command("--state-directory", str(tmp_path / "state"), *words)
    assert "--passphrase-file" in ran.is_refused()


def test_a_passphrase_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    missing = tmp_path / "none.txt"
    ran = run_command("--state-directory", str(tmp_path), "ca", "export", "a.p12", "--passphrase-file", str(missing))
    assert f"cannot be read from {missing} (No such file or directory)" in ran.is_refused()


def test_a_backup_into_a_folder_that_is_not_there_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "steelyard.sqlite3").touch()
    missing = tmp_path / "none"
    ran = run_command("--state-directory", str(tmp_path), "backup", str(missing / "copy.tar"))
    assert f"{missing} failed (No such file or directory)" in ran.is_refused(4)
