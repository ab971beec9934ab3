from __future__ import annotations

import json
from pathlib import Path

import pytest

from steelyard.gate.forks import fork_of


def event(tmp_path: Path, head: object, base: object) -> dict[str, str]:
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"pull_request": {"head": {"repo": head}, "base": {"repo": base}}}))
    return {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(path)}


OURS = {"full_name": "ours/models"}


def test_a_branch_of_the_same_repository_is_no_fork(tmp_path: Path) -> None:
    assert fork_of(event(tmp_path, OURS, OURS)) == ""


def test_another_repository_is_named(tmp_path: Path) -> None:
    assert fork_of(event(tmp_path, {"full_name": "stranger/models"}, OURS)) == "stranger/models"


def test_a_fork_that_was_deleted_is_one(tmp_path: Path) -> None:
    assert fork_of(event(tmp_path, None, OURS)) == "a deleted repository"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pull_request": null}', "no json"])
def test_an_event_that_cannot_be_read_is_taken_for_a_fork(tmp_path: Path, text: str) -> None:
    path = tmp_path / "event.json"
    path.write_text(text)

    assert fork_of({"GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_EVENT_PATH": str(path)})


def test_a_merge_request_from_another_project_is_a_fork() -> None:
    ids = {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8", "CI_MERGE_REQUEST_PROJECT_ID": "7"}

    assert fork_of({**ids, "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "stranger/models"}) == "stranger/models"
    assert fork_of({**ids, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7"}) == ""


@pytest.mark.parametrize("environment", [{}, {"GITHUB_EVENT_NAME": "push"}, {"CI": "true"}])
def test_pushes_and_desks_are_no_forks(environment: dict[str, str]) -> None:
    assert fork_of(environment) == ""
