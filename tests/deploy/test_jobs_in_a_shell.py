"""The jobs of CI that ship, run line by line in a shell: real commands and git, a real controller on loopback.

What a hosted runner brings is played: checkouts are copies, `pip` writes down what it was asked for, expressions of
GitHub and variables of GitLab are filled in. Base and head have a model in common whose bytes are the same, so that a
gate is judged without a device; the device of the night never comes, and its window is a second.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from steelyard.control.client import Client
from steelyard.control.connect import connect
from steelyard.identity.roles import Role
from steelyard.settings import Settings
from tests.controller.cli.running import run_command
from tests.support import models

DEPLOY = Path(__file__).parents[2] / "deploy"
# GitHub's `shell: bash` is `bash -e` for a run without a shell; GitLab stops at a line that fails, too.
SHELL = ("bash", "-e", "-c")
EXPRESSION = re.compile(r"\$\{\{ *([a-z_.A-Z]+) *\}\}")
NIGHT = """
[suite]
name = "ci"
[devices]
names = ["pi5"]
[[model]]
name = "net"
file = "models/net.onnx"
[night]
window = "1s"
device_wait = "1s"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A runner's folder, what its programs find in the environment, and what its `pip` was asked for."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, lines: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SHELL, "\n".join(lines)],
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def installed(self) -> str:
        return (self.folder / "pip.log").read_text("utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of this machine's user for all tests, whose login and state nobody else sees."""
    folder = tmp_path_factory.mktemp("ci-home")
    with pytest.MonkeyPatch.context() as patched:
        for name in ("CI", "STEELYARD_STATE_DIRECTORY", "STEELYARD_CONTROLLER", "STEELYARD_TOKEN"):
            patched.delenv(name, raising=False)
        patched.setenv("HOME", str(folder))
        patched.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield folder


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[Client]:
    """A controller with the port that asks for certificates."""
    settings = Settings(state_directory=home / "state", agent_listen="127.0.0.1:0", secure_listen="127.0.0.1:0")
    with connect(settings=settings) as connected:
        yield connected


@pytest.fixture(scope="module")
def token(home: Path, client: Client) -> str:
    """The token that the comment of the jobs says to make."""
    said = re.search(r"#   steelyard (user token .*)", (DEPLOY / "gate" / "github-action.yml").read_text("utf-8"))
    assert said is not None
    return run_command("--state-directory", str(home / "state"), *said[1].split()).out.strip()


@pytest.fixture
def runner(home: Path, tmp_path: Path) -> Runner:
    """A fresh folder with a checkout's models, a suite, and a `pip` that installs nothing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "pip").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/pip.log\n')
    (programs / "pip").chmod(0o755)
    (tmp_path / "models").mkdir()
    models.conv_model(tmp_path / "models" / "net.onnx", seed=41)
    (tmp_path / "night.toml").write_text(NIGHT)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GITLAB_", "CI_"))}
    return Runner(folder=tmp_path, environment={**kept, "PATH": path, "CI": "true", "HOME": str(home)})


def github_steps(name: str, job: str, known: Mapping[str, str]) -> list[tuple[list[str], dict[str, str]]]:
    """Return the lines and the environment of each step that runs something, expressions filled in."""
    document = yaml.safe_load((DEPLOY / name).read_text("utf-8"))

    def filled(text: str) -> str:
        return EXPRESSION.sub(lambda found: known[found[1]], text)

    steps = [step for step in document["jobs"][job]["steps"] if "run" in step]
    return [
        (filled(step["run"]).splitlines(), {key: filled(value) for key, value in step.get("env", {}).items()})
        for step in steps
    ]


def gitlab_lines(name: str, job: str) -> list[str]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    return [str(line) for line in document[job]["script"]]


def judged(folder: Path) -> str:
    """Check that a gate left its files, and return the summary's first line."""
    assert ET.parse(folder / "gate.xml").getroot()[0].get("failures") == "0"
    return (folder / "gate.md").read_text("utf-8").splitlines()[0]


def test_the_steps_of_the_github_gate_install_judge_and_summarise(runner: Runner, token: str) -> None:
    for side in ("base", "head"):
        shutil.copytree(runner.folder / "models", runner.folder / side / "models")
    summary = runner.folder / "summary.md"
    for lines, environment in github_steps("gate/github-action.yml", "gate", {"secrets.STEELYARD_TOKEN": token}):
        done = runner.run(lines, **environment, GITHUB_STEP_SUMMARY=str(summary))
        assert done.returncode == 0, (lines, done.stdout, done.stderr)
        assert token not in done.stdout + done.stderr
    assert runner.installed == "install steelyard[controller]\n"
    assert judged(runner.folder) == summary.read_text("utf-8").splitlines()[0]
    assert "PASS" in judged(runner.folder)


def test_the_lines_of_the_gitlab_gate_fetch_the_base_and_judge(runner: Runner, token: str) -> None:
    origin, checkout = runner.folder / "origin", runner.folder / "checkout"
    git = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    allowed = "uploadpack.allowAnySHA1InWant=true"
    script = [
        f"git init -q origin && cp -r models origin/ && cd origin && git config {allowed.replace('=', ' ')}",
        f"git add models && {' '.join(git)} commit -q -m base && git rev-parse HEAD > ../base.sha",
        f"echo more > readme && git add readme && {' '.join(git)} commit -q -m head",
        "cd .. && git clone -q --depth 1 file://$PWD/origin checkout",
    ]
    made = runner.run(script)
    assert made.returncode == 0, made.stderr
    assert origin.exists()
    base = (runner.folder / "base.sha").read_text("utf-8").strip()

    there = Runner(folder=checkout, environment=runner.environment)
    # An earlier job left a base in the folder that the runner keeps: cleaned away, and still noted by Git.
    kept = there.run([f"git fetch -q --depth 1 origin {base}", f"git worktree add base {base}", "git clean -ffdxq"])
    assert kept.returncode == 0, kept.stderr
    done = there.run(
        gitlab_lines("gate/gitlab-ci.yml", "gate"), CI_MERGE_REQUEST_DIFF_BASE_SHA=base, STEELYARD_TOKEN=token
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert runner.installed == "install steelyard[controller]\n"
    assert "PASS" in judged(checkout)


@pytest.fixture(scope="module")
def address(home: Path, client: Client) -> str:
    """The controller's address, once the runner has logged in by hand."""
    invitation, _ = client.identity.invite_user("ci-night", Role.RUN)
    ran = run_command("login", invitation.code)
    assert ran.code == 0, ran.err
    return str(client.identity.authorities().addresses[0])


def test_the_steps_of_the_github_night_end_with_its_exit_code_and_summarise(runner: Runner, address: str) -> None:
    summary = runner.folder / "summary.md"
    (night, environment), (summarise, _) = github_steps(
        "nightly/github-action.yml", "nightly", {"vars.STEELYARD_CONTROLLER": address}
    )
    assert runner.run(night, **environment).returncode == 3
    done = runner.run(summarise, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stderr
    assert "INCOMPLETE" in summary.read_text("utf-8")


def test_the_lines_of_the_gitlab_night_end_with_its_exit_code_and_leave_reports(runner: Runner, address: str) -> None:
    done = runner.run(gitlab_lines("nightly/gitlab-ci.yml", "nightly"), STEELYARD_CONTROLLER=address)
    assert done.returncode == 3, (done.stdout, done.stderr)
    assert {one.suffix for one in (runner.folder / "reports").iterdir()} == {".html", ".md", ".json", ".xml"}
