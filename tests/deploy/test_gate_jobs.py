"""The jobs of CI that ship with the gate: they parse, run commands that exist, use a token, and leave forks out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from steelyard.control.token import TOKEN_VARIABLE
from tests.support.parsed_commands import parse

FOLDER = Path(__file__).parents[2] / "deploy" / "gate"
NAMES = ("github-action.yml", "gitlab-ci.yml")
# A line that runs it, and one of a comment that says what to run.
COMMAND = re.compile(r"(?:run: |- |#   )(steelyard .*)")


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def commands(name: str) -> list[list[str]]:
    return [shlex.split(match[1]) for match in COMMAND.finditer(text_of(name))]


def github() -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(text_of("github-action.yml"))
    return document


def test_every_job_that_ships_is_looked_at() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_of_a_job_parse_and_are_a_token_and_a_gate(name: str) -> None:
    found = commands(name)
    assert [words[1] for words in found] == ["user", "gate"]
    for words in found:
        parse(words[1:])
    # What the token reaches is what the gate asks for.
    pools = [words[words.index("--pool") + 1] for words in found]
    assert pools[0] == pools[1]


def test_the_action_gets_the_token_from_a_secret_in_one_step_and_never_runs_forks() -> None:
    document = github()
    # YAML reads the key "on" as true.
    assert set(document[True]) == {"pull_request"}
    assert document["permissions"] == {"contents": "read"}
    job = document["jobs"]["gate"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    with_token = [step for step in job["steps"] if TOKEN_VARIABLE in step.get("env", {})]
    assert [step["name"] for step in with_token] == ["Gate"]
    assert with_token[0]["env"] == {TOKEN_VARIABLE: "${{ secrets.STEELYARD_TOKEN }}"}
    assert "env" not in document
    assert "env" not in job


def test_the_gitlab_job_runs_for_merge_requests_of_the_project_itself_and_keeps_the_report() -> None:
    job = yaml.safe_load(text_of("gitlab-ci.yml"))["gate"]
    (rule,) = job["rules"]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID" in rule["if"]
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] == "gate.xml"
    # The variable is set in the project's settings, never in the file.
    assert "variables" not in job


@pytest.mark.parametrize("name", NAMES)
def test_no_job_holds_a_token(name: str) -> None:
    assert "syt1-" not in text_of(name)
