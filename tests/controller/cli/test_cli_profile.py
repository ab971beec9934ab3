"""`steelyard profile`: what the agent's command says, with the controller's exit codes and sentences."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from steelyard.control.client import Client
from tests.controller.cli.running import Ran, run_command

MINE = 'schema_version = 2\nname = "mine"\ntitle = "My board"\n[match]\ndevice_tree_models = ["My board"]\n'


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    folder = tmp_path / "boards"
    folder.mkdir()
    (folder / "mine.toml").write_text(MINE)
    return folder


def test_the_list_holds_shipped_profiles_and_yours(boards: Path) -> None:
    ran = run_command("profile", "list", "--profiles", str(boards))
    assert (ran.code, ran.err) == (0, "")
    assert "raspberry-pi-5" in ran.out
    assert f"yours: {boards / 'mine.toml'}" in ran.out


def test_the_list_is_one_json_document(boards: Path) -> None:
    document = run_command("profile", "list", "--json", "--profiles", str(boards)).document
    assert (document["schema_version"], document["kind"]) == (1, "profiles")
    assert len([one for one in document["profiles"] if not one["shipped"]]) == 1


def test_a_broken_profile_of_yours_is_told_on_stderr(boards: Path) -> None:
    (boards / "mine.toml").write_text("schema_version = 2\n")
    ran = run_command("profile", "list", "--profiles", str(boards))
    assert ran.code == 0
    assert "mine" not in ran.out
    (line,) = ran.err.splitlines()
    assert line.startswith("left out: device profile ")


def test_a_profile_is_shown_in_words_and_as_json(boards: Path) -> None:
    shown = run_command("profile", "show", "jetson-agx-orin")
    assert "TensorrtExecutionProvider needs JetPack" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    document = run_command("profile", "show", "mine", "--json", "--profiles", str(boards)).document
    assert document["profile"]["title"] == "My board"


@pytest.mark.parametrize("name", ["raspberry-pi-6", "-x"])
def test_a_profile_that_is_not_there_is_refused(name: str) -> None:
    line = run_command("profile", "show", "--", name).is_refused()
    assert line.startswith(f"steelyard: there is no profile {name!r}; known: ")


def test_a_file_that_fits_is_told_so(boards: Path) -> None:
    file = boards / "mine.toml"
    assert run_command("profile", "check", str(file)).out == f"{file} fits the schema: mine (My board)\n"
    assert run_command("profile", "check", "--json", str(file)).document["profile"]["name"] == "mine"


def test_a_file_that_does_not_fit_is_one_sentence_that_names_the_key(boards: Path) -> None:
    (boards / "mine.toml").write_text(MINE + "colour = 'red'\n")
    assert (
        "match has unknown keys ['colour']" in run_command("profile", "check", str(boards / "mine.toml")).is_refused()
    )


def test_escape_sequences_in_a_profile_do_not_reach_the_terminal(boards: Path) -> None:
    (boards / "mine.toml").write_text(MINE.replace("My board", "My \\u001b[31mboard"))
    out = run_command("profile", "list", "--profiles", str(boards)).out
    assert "\x1b" not in out
    assert r"My \x1b[31mboard" in out


def test_a_device_of_the_controller_is_drafted_and_never_over_a_file(
    steelyard, measured: Ran, client: Client, tmp_path: Path
) -> None:
    assert measured.code == 0
    (device,) = client.devices()
    file = tmp_path / "draft.toml"
    arguments = ("profile", "new", "--device", device.description.device_id, "-o", file)
    ran = steelyard(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert run_command("profile", "check", str(file)).code == 0
    assert f'name = "{device.description.runtimes[0].name}"' in file.read_text()
    assert "is there already" in steelyard(*arguments).is_refused()
    assert steelyard(*arguments, "--force").code == 0


def test_a_device_that_is_not_known_is_refused(steelyard, client: Client) -> None:
    assert "nobody" in steelyard("profile", "new", "--device", "nobody").is_refused()


@pytest.mark.parametrize("words", [(), ("--device", "local")])
def test_this_machine_is_drafted_without_a_controller(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def answer(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[3:])
        return subprocess.CompletedProcess(command, 0, stdout="schema_version = 2\n", stderr="")

    monkeypatch.setattr("subprocess.run", answer)
    assert run_command("profile", "new", *words).out == "schema_version = 2\n"
    assert asked == [["profile", "new"]]


@pytest.mark.parametrize(
    ("code", "stderr", "said"),
    [
        (2, "steelyard-agent: no\n", "steelyard: no"),
        (70, "steelyard-agent: a bug of ours (X: y); a report is in /z\n", "steelyard: a bug of ours (X: y)"),
        (4, "usage: x\nsteelyard-agent: the disk is full\n", "steelyard: the disk is full"),
    ],
)
def test_a_failure_of_the_agents_command_keeps_its_exit_code(
    code: int, stderr: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "subprocess.run", lambda command, **_: subprocess.CompletedProcess(command, code, stdout="", stderr=stderr)
    )
    assert run_command("profile", "list").is_refused(code).startswith(said)


def test_an_interpreter_that_fails_by_itself_is_no_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "subprocess.run", lambda command, **_: subprocess.CompletedProcess(command, 1, stdout="", stderr="")
    )
    assert run_command("profile", "list").is_refused(70) == "steelyard: the agent's profile command said nothing"
