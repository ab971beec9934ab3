from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from steelyard_agent.cli import main
from steelyard_agent.cli import steady as command
from tests.agent.steadying.boards import GOVERNOR, governed
from tests.support.fake_sysfs import FakeSysfs


@pytest.fixture
def board(tmp_path, monkeypatch):
    tree = governed(tmp_path / "device", "ondemand")
    monkeypatch.setattr(command, "this_system", lambda: tree.system)
    return tree


@dataclass(frozen=True)
class Account:
    pw_dir: str


def doctor(tmp_path, *words):
    return main(["doctor", *words, "--state-directory", str(tmp_path / "state")])


def governor(tree):
    return tree.system.path(GOVERNOR.format(0)).read_text().strip()


def test_without_a_terminal_and_without_yes_nothing_is_changed(board, tmp_path, capsys):
    assert doctor(tmp_path, "--fix") == 3
    out = capsys.readouterr().out
    assert "set the cpufreq governor of 1 policy from ondemand to performance" in out
    assert "nothing was changed; --yes changes it without a question" in out
    assert governor(board) == "ondemand"
    assert not (tmp_path / "state").exists()
    assert max(map(len, out.splitlines())) <= 80


def test_yes_changes_and_undo_puts_back(board, tmp_path, capsys):
    assert doctor(tmp_path, "--fix", "--yes") == 0
    assert "undo it with: steelyard-agent doctor --undo" in capsys.readouterr().out
    assert governor(board) == "performance"
    assert doctor(tmp_path, "--fix", "--yes") == 0
    assert "nothing to change" in capsys.readouterr().out
    assert doctor(tmp_path, "--undo") == 0
    assert governor(board) == "ondemand"
    assert doctor(tmp_path, "--undo") == 0
    assert "nothing to undo" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, "performance"), ("", 3, "ondemand")])
def test_on_a_terminal_one_question_is_asked(board, tmp_path, monkeypatch, answer, code, left):
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    assert doctor(tmp_path, "--fix") == code
    assert asked == ["Change this? [y/N] "]
    assert governor(board) == left


def test_a_program_gets_offers_and_what_came_of_them_as_json(board, tmp_path, capsys):
    assert doctor(tmp_path, "--fix", "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert [offer["name"] for offer in document["offers"]] == ["governor"]
    assert document["done"] == []
    assert doctor(tmp_path, "--fix", "--json", "--yes") == 0
    assert json.loads(capsys.readouterr().out)["done"][0]["succeeded"] is True
    assert doctor(tmp_path, "--undo", "--json") == 0
    assert governor(board) == "ondemand"


def test_what_only_root_may_change_ends_as_the_devices_refusal(board, tmp_path, capsys):
    board.refuse_writes(GOVERNOR.format(0))
    assert doctor(tmp_path, "--fix", "--yes") == 4
    assert "run this with sudo" in capsys.readouterr().out.replace("\n  ", " ")


def test_fix_and_undo_together_are_a_contradiction(board, tmp_path, capsys):
    assert doctor(tmp_path, "--fix", "--undo") == 2
    assert "contradict" in capsys.readouterr().err


def test_a_device_that_is_steady_has_no_offer(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "this_system", lambda: FakeSysfs(tmp_path).system)
    assert doctor(tmp_path, "--fix") == 0
    out = capsys.readouterr().out
    assert out.startswith("nothing to change\n  governor: no clock can be set here")
    assert "cores: this device tells neither" in out
    assert max(map(len, out.splitlines())) <= 80
    assert doctor(tmp_path, "--fix", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["not_offered"]) == 2


def test_yes_without_a_question_is_refused(board, tmp_path, capsys):
    assert doctor(tmp_path, "--yes") == 2
    assert "--yes answers the question of --fix" in capsys.readouterr().err


def test_under_sudo_the_callers_agent_is_meant(monkeypatch, tmp_path):
    monkeypatch.setattr(command.os, "geteuid", lambda: 0)
    monkeypatch.setattr(command.pwd, "getpwnam", {"pi": Account(str(tmp_path / "pi"))}.__getitem__)
    monkeypatch.setenv("HOME", str(tmp_path / "root"))
    folder = command._callers_state_directory
    assert folder({"SUDO_USER": "pi"}) == tmp_path / "pi/.local/state/steelyard-agent"
    for environ in ({}, {"SUDO_USER": "root"}, {"SUDO_USER": "nobody-here"}):
        assert folder(environ) == tmp_path / "root/.local/state/steelyard-agent"
