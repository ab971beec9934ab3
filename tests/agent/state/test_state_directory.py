import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard_agent.state.directory import crash_folder, default_state_directory, open_state_directory
from steelyard_agent.state.errors import StateError, StateLockedError


def test_the_default_is_below_xdg_state_home_when_that_is_absolute(tmp_path: Path) -> None:
    assert default_state_directory({"XDG_STATE_HOME": str(tmp_path)}, Path("/home/x")) == tmp_path / "steelyard-agent"
    for useless in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert default_state_directory(useless, Path("/h")) == Path("/h/.local/state/steelyard-agent")


def test_it_is_made_for_this_user_only(tmp_path: Path) -> None:
    state = open_state_directory(tmp_path / "a" / "b")
    assert (state.root.stat().st_mode & 0o777) == 0o700
    assert state.blobs.is_dir()
    assert state.outbox.is_dir()
    assert crash_folder(state.root) == state.root / "crashes"
    state.close()
    state.close()


def test_a_second_agent_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    state = open_state_directory(tmp_path)
    with pytest.raises(StateLockedError, match=f"pid {os.getpid()}") as caught:
        open_state_directory(tmp_path)
    assert caught.value.exit_code == 4
    state.close()
    open_state_directory(tmp_path).close()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from steelyard_agent.state.directory import open_state_directory\n"
    code += "s = open_state_directory(Path(sys.argv[1])); import os; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "agent.lock").exists()
    open_state_directory(tmp_path).close()


def test_what_a_killed_agent_was_working_on_is_removed(tmp_path: Path) -> None:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "outputs.npz").write_bytes(b"half")
    state = open_state_directory(tmp_path)
    assert list(state.work.iterdir()) == []
    state.close()


def test_a_path_that_is_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="--state-directory"):
        open_state_directory(tmp_path / "file")
