"""The file of runtime environments, and what an interpreter must be before workers run under it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.environments import RuntimeEnvironment, read_environments, write_environments
from steelyard_agent.errors import AgentError, UsageError
from steelyard_agent.interpreters import inspect_interpreter, interpreter_path, kept_environment
from steelyard_agent.state.errors import StateError
from tests.agent.test_commands import is_gone

TFLITE = RuntimeEnvironment(name="tflite", python=Path("/opt/tflite/bin/python"))
SYSTEM = RuntimeEnvironment(name="jetpack.6", python=Path("/usr/bin/python3"))


def test_what_was_written_is_read_by_name(tmp_path: Path) -> None:
    root = tmp_path / "state"
    assert read_environments(root) == ()
    write_environments(root, [TFLITE, SYSTEM])
    assert read_environments(root) == (SYSTEM, TFLITE)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    write_environments(root, [])
    assert read_environments(root) == ()


@given(
    name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,39}", fullmatch=True),
    path=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60),
)
def test_every_name_and_path_survives_the_file(tmp_path_factory: pytest.TempPathFactory, name: str, path: str) -> None:
    root = tmp_path_factory.mktemp("state")
    environment = RuntimeEnvironment(name=name, python=Path("/") / path)
    write_environments(root, [environment])
    assert read_environments(root) == (environment,)


@pytest.mark.parametrize("name", ["", "Tflite", "a b", "../x", "a@b", "x" * 41, "-x", "é"])
def test_a_name_that_could_not_be_asked_for_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="choose another"):
        RuntimeEnvironment(name=name, python=Path("/usr/bin/python3"))


@pytest.mark.parametrize("path", ["bin/python", "/usr/bin/py\nthon"])
def test_a_path_that_is_not_absolute_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="absolute path"):
        RuntimeEnvironment(name="x", python=Path(path))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x = ", "Invalid value"),
        ("[environments.a]\npython = '/x'", "'environments'"),
        ("environment = 3", "no table"),
        ("[environment.a]\npythn = '/x'", r"\[environment.a\] must have python"),
        ("[environment.a]\npython = 3", r"\[environment.a\] must have python"),
        ("[environment.a]\npython = 'x'", "absolute path"),
        ("[environment.A]\npython = '/x'", "choose another"),
        ("#" * 300_000, "too large"),
    ],
)
def test_a_file_that_was_spoiled_says_what_is_wrong(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "environments.toml").write_text(text)
    with pytest.raises(StateError, match=part) as caught:
        read_environments(tmp_path)
    assert "environments.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_or_written_is_an_error_of_the_state(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").mkdir()
    with pytest.raises(AgentError, match=r"environments\.toml"):
        read_environments(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="choose another --state-directory"):
        write_environments(tmp_path / "file", [TFLITE])


def test_the_folder_of_a_venv_stands_for_its_interpreter_and_links_are_kept(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert interpreter_path(str(tmp_path)) == tmp_path / "bin" / "python"
    assert interpreter_path(str(tmp_path / "bin" / "python")) == tmp_path / "bin" / "python"


async def test_an_interpreter_tells_its_version_and_numpy() -> None:
    found = await inspect_interpreter(Path(sys.executable))
    assert found.version == sys.version_info[:3]
    assert found.numpy[0].isdigit()


def _answering(folder: Path, answer: str) -> Path:
    """Write a program that answers as an interpreter of another machine would."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho 'a site says hello'\necho '{answer}'\n")
    program.chmod(0o700)
    return program


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ('{"version": [3, 6, 9], "numpy": "1.13.3"}', r"Python 3\.6\.9, and workers need 3\.10 .*JetPack 4"),
        ('{"version": [2, 7, 18], "numpy": ""}', r"Python 2\.7\.18"),
        ('{"version": [3, 10, 12], "numpy": ""}', r"has no numpy .* -m pip install numpy"),
        ('{"version": [3, 10], "numpy": ""}', "does not answer"),
        ("[]", "does not answer"),
        ('{"version": [1e999, 1, 1], "numpy": "1"}', "does not answer"),
        ("[" * 5000, "does not answer"),
        ("hello", "does not answer"),
    ],
)
async def test_an_interpreter_that_workers_cannot_use_says_why(tmp_path: Path, answer: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        await inspect_interpreter(_answering(tmp_path, answer))


async def test_a_numpy_on_our_own_path_is_not_the_other_interpreters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("__version__ = '99'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert (await inspect_interpreter(Path(sys.executable))).numpy != "99"


def test_a_worker_sees_what_pip_installed_for_its_user_and_no_secret() -> None:
    environ = {"HOME": "/h", "PYTHONUSERBASE": "/u", "PYTHONPATH": "/ours", "LD_LIBRARY_PATH": "/l", "AWS_SECRET": "x"}
    other = kept_environment(environ, is_ours=False)
    assert other == {"HOME": "/h", "PYTHONUSERBASE": "/u", "LD_LIBRARY_PATH": "/l"}
    assert kept_environment(environ, is_ours=True) == {**other, "PYTHONPATH": "/ours"}


async def test_a_program_that_is_not_there_is_no_interpreter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be started"):
        await inspect_interpreter(tmp_path / "python")


async def test_a_program_that_never_answers_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steelyard_agent.interpreters._TIMEOUT_S", 0.05)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    with pytest.raises(UsageError, match="did not answer"):
        await inspect_interpreter(program)


async def test_a_script_whose_child_never_ends_is_stopped_with_its_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steelyard_agent.interpreters._TIMEOUT_S", 0.3)
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nwait\n")
    program.chmod(0o700)
    with pytest.raises(UsageError, match="did not answer"):
        await inspect_interpreter(program)
    assert is_gone(int((tmp_path / "child").read_text()))


async def test_a_program_that_prints_without_end_is_no_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nyes\n")
    program.chmod(0o700)
    with pytest.raises(UsageError, match="does not answer"):
        await inspect_interpreter(program)
