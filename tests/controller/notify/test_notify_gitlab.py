from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from steelyard.notify.gitlab import GitLab
from steelyard.notify.secret import Secret
from steelyard.notify.sending import Subscription, send_to_all
from tests.controller.notify.digests import TOKEN, digest, world
from tests.support.web_service import Asked, Reply, WebService, web_service

PROJECT = "/api/v4/projects/acme%2Fmodels"


class FakeGitLab:
    """Notes of merge request 5 and statuses of a commit, in the shapes that docs.gitlab.com shows."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.statuses: dict[str, dict[str, Any]] = {}

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("PRIVATE-TOKEN") != TOKEN:
            return Reply(status=401, body={"message": "401 Unauthorized"})
        path = urlsplit(asked.path).path.removeprefix(PROJECT)
        match asked.method, path.split("/")[1:]:
            case "GET", ["merge_requests", "5", "notes"]:
                return Reply(body=self.notes)
            case "POST", ["merge_requests", "5", "notes"]:
                self.notes.append({"id": 70 + len(self.notes), **asked.json})
                return Reply(status=201, body=self.notes[-1])
            case "PUT", ["merge_requests", "5", "notes", identity]:
                next(one for one in self.notes if one["id"] == int(identity)).update(asked.json)
                return Reply(body={})
            case "POST", ["statuses", "abc123"]:
                return self._status(asked.json)
        return Reply(status=404, body={"message": "404 Project Not Found"})

    def _status(self, values: dict[str, Any]) -> Reply:
        before = self.statuses.get(values["name"])
        if before is not None and before["state"] == values["state"]:
            words = f"Cannot transition status via :{values['state']} from :{values['state']}"
            return Reply(status=400, body={"message": words})
        self.statuses[values["name"]] = values
        return Reply(status=201, body=values)


def _channel(service: WebService, **changes: object) -> GitLab:
    settings = {"name": "merge", "project": "acme/models", "token": Secret(variable="TOKEN")}
    place = {} if "commit" in changes else {"merge_request": 5}
    return GitLab(**{**settings, "api": f"{service.address}/api/v4", **place, **changes})  # type: ignore[arg-type]


def test_a_second_night_replaces_the_note_of_the_first() -> None:
    gitlab = FakeGitLab()
    gitlab.notes = [{"id": 3, "body": "looks good"}]
    with web_service(gitlab) as service:
        for number in (31, 32):
            _channel(service).send(digest(number=number, markdown=f"night {number}"), world())
    assert [one["body"] for one in gitlab.notes] == ["looks good", "<!-- steelyard nightly/phones -->\nnight 32"]


@pytest.mark.parametrize(("verdict", "state"), [("PASS", "success"), ("REGRESSED", "failed"), ("INCOMPLETE", "failed")])
def test_a_status_says_the_verdict_and_may_be_said_twice(verdict: str, state: str) -> None:
    gitlab = FakeGitLab()
    with web_service(gitlab) as service:
        for _ in range(2):
            _channel(service, commit="abc123").send(digest(verdict=verdict), world())
    assert gitlab.statuses == {
        "steelyard/nightly/phones": {
            "name": "steelyard/nightly/phones",
            "state": state,
            "description": digest().title,
            "target_url": "https://ci.example.org/phones/31",
        }
    }


def test_a_long_title_is_cut_to_what_a_status_takes() -> None:
    gitlab = FakeGitLab()
    with web_service(gitlab) as service:
        _channel(service, commit="abc123").send(digest(title="x" * 400, url=""), world())
    (status,) = gitlab.statuses.values()
    assert status["description"] == "x" * 254 + "…"
    assert "target_url" not in status


def test_a_project_that_is_not_there_is_said_and_not_tried_again() -> None:
    with web_service(FakeGitLab()) as service:
        channel = _channel(service, project="acme/other")
        (result,) = send_to_all([Subscription(channel=channel)], digest(), world())
    assert (result.is_sent, result.attempt_count) == (False, 1)
    assert "GitLab (merge) answered with status 404 (no such place, or the token may not see it)" in result.reason


def test_a_gitlab_under_a_path_is_asked_there() -> None:
    with web_service(FakeGitLab()) as service:
        channel = _channel(service, api=f"{service.address}/git/api/v4", commit="abc123")
        send_to_all([Subscription(channel=channel)], digest(), world())
    assert service.calls == ["POST /git/api/v4/projects/acme%2Fmodels/statuses/abc123"]
