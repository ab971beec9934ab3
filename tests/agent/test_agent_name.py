"""Names that no controller takes are refused before it is dialled."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.cli import main
from steelyard_agent.jobs.desk import empty_folder


@pytest.mark.parametrize("name", ["\x1b[31m", "a\nb", " x", "n" * 201])
def test_a_name_that_cannot_be_shown_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["run", "--controller", "127.0.0.1:1", "--name", name, "--state-directory", str(tmp_path)])
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--name" in line
    assert repr(name[:80])[1:-1] in line


def test_a_work_folder_that_was_taken_away_needs_no_emptying(tmp_path: Path) -> None:
    empty_folder(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
