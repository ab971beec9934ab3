from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from steelyard.notify.errors import NotifyError
from steelyard.notify.github import GitHub
from steelyard.notify.secret import Secret
from steelyard.notify.sending import Subscription, send_to_all
from tests.controller.notify.digests import TOKEN, digest, world
from tests.support.web_service import Asked, Reply, WebService, replies, web_service

MARKER = "<!-- steelyard nightly/phones -->"


class FakeGitHub:
    """Comments and check runs of one repository, in the shapes that docs.github.com shows."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.checks: list[dict[str, Any]] = []
        # Answers that go before its own.
        self.first: list[Reply] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Reply(status=401, body={"message": f"Bad credentials {asked.headers.get('Authorization')}"})
        if self.first:
            return self.first.pop(0)
        path = urlsplit(asked.path).path.removeprefix("/api/v3").removeprefix("/repos/acme/models/")
        query = parse_qs(urlsplit(asked.path).query)
        match asked.method, path.split("/"):
            case "GET", ["issues", "12", "comments"]:
                start, size = (int(query["page"][0]) - 1) * int(query["per_page"][0]), int(query["per_page"][0])
                return Reply(body=self.comments[start : start + size])
            case "POST", ["issues", "12", "comments"]:
                return self._made(self.comments, asked.json)
            case "PATCH", ["issues", "comments", identity]:
                return self._changed(self.comments, int(identity), asked.json)
            case "GET", ["commits", "abc123", "check-runs"]:
                return Reply(body={"check_runs": [one for one in self.checks if one["name"] == query["check_name"][0]]})
            case "POST", ["check-runs"]:
                return self._made(self.checks, asked.json)
            case "PATCH", ["check-runs", identity]:
                return self._changed(self.checks, int(identity), asked.json)
        return Reply(status=404, body={"message": "Not Found"})

    def _made(self, rows: list[dict[str, Any]], values: dict[str, Any]) -> Reply:
        rows.append({"id": 1000 + len(rows), **values})
        return Reply(status=201, body=rows[-1])

    def _changed(self, rows: list[dict[str, Any]], identity: int, values: dict[str, Any]) -> Reply:
        row = next(one for one in rows if one["id"] == identity)
        row.update(values)
        return Reply(body=row)


def _channel(service: WebService, **changes: object) -> GitHub:
    settings = {"name": "pull", "repository": "acme/models", "token": Secret(variable="TOKEN"), "api": service.address}
    return GitHub(**{**settings, **({"issue": 12} if "commit" not in changes else {}), **changes})  # type: ignore[arg-type]


def test_a_second_night_replaces_the_comment_of_the_first() -> None:
    github = FakeGitHub()
    with web_service(github) as service:
        for number in (31, 32):
            _channel(service).send(digest(number=number, markdown=f"night {number}"), world())
    assert [one["body"] for one in github.comments] == [f"{MARKER}\nnight 32"]
    headers = service.asked[0].headers
    assert headers["Accept"] == "application/vnd.github+json"
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"


def test_the_comments_of_other_suites_and_of_people_stay() -> None:
    github = FakeGitHub()
    github.comments = [{"id": 1, "body": f"> {MARKER}\nwhat is this?"}, {"id": 2, "body": "hello"}]
    with web_service(github) as service:
        _channel(service).send(digest(key="nightly/boards"), world())
        _channel(service).send(digest(), world())
    assert len(github.comments) == 4


def test_a_comment_behind_many_others_is_found() -> None:
    github = FakeGitHub()
    github.comments = [{"id": number, "body": "x"} for number in range(250)]
    github.comments[222]["body"] = f"{MARKER}\nold"
    with web_service(github) as service:
        _channel(service).send(digest(), world())
    assert github.comments[222]["body"].startswith(f"{MARKER}\n## phones, night 31")
    assert len(github.comments) == 250


@pytest.mark.parametrize("text", ["@acme/team", "a (@ada)", "\\\\@ada", "**@ada**"])
def test_the_name_of_a_model_mentions_nobody(text: str) -> None:
    github = FakeGitHub()
    with web_service(github) as service:
        _channel(service).send(digest(markdown=text), world())
        _channel(service, commit="abc123").send(digest(markdown=text), world())
    for body in (github.comments[0]["body"], github.checks[0]["output"]["summary"]):
        assert "@\N{ZERO WIDTH SPACE}a" in body
        assert "@a" not in body


def test_a_command_with_a_runtime_environment_can_still_be_copied() -> None:
    github = FakeGitHub()
    with web_service(github) as service:
        _channel(service).send(digest(markdown="`--runtime onnxruntime@older`"), world())
    assert github.comments[0]["body"].endswith("`--runtime onnxruntime@older`")


def test_a_comment_is_cut_to_what_github_takes() -> None:
    github = FakeGitHub()
    with web_service(github) as service:
        _channel(service).send(digest(markdown="a row of a table\n" * 10_000), world())
    body = github.comments[0]["body"]
    assert 65_000 < len(body) <= 65_535
    assert body.endswith(" more lines: https://ci.example.org/phones/31")


def test_a_comment_whose_answer_was_lost_is_not_written_twice() -> None:
    github = FakeGitHub()

    def answer(asked: Asked) -> Reply:
        reply = github(asked)
        # Taken, and the gateway in front of it breaks.
        return Reply(status=502) if asked.method == "POST" else reply

    with web_service(answer) as service:
        (result,) = send_to_all([Subscription(channel=_channel(service))], digest(), world())
    assert result.is_sent
    assert len(github.comments) == 1


@pytest.mark.parametrize(
    ("verdict", "conclusion"), [("PASS", "success"), ("REGRESSED", "failure"), ("INCOMPLETE", "neutral")]
)
def test_a_check_run_says_the_verdict(verdict: str, conclusion: str) -> None:
    github = FakeGitHub()
    with web_service(github) as service:
        for _ in range(2):
            _channel(service, commit="abc123").send(digest(verdict=verdict), world())
    (check,) = github.checks
    assert (check["name"], check["head_sha"], check["status"]) == ("Steelyard nightly/phones", "abc123", "completed")
    assert check["conclusion"] == conclusion
    assert check["output"] == {"title": digest().title, "summary": digest().markdown}
    assert check["details_url"] == "https://ci.example.org/phones/31"


def test_a_server_of_ones_own_is_asked_under_its_path() -> None:
    github = FakeGitHub()
    with web_service(github) as service:
        _channel(service, api=f"{service.address}/api/v3").send(digest(), world())
    comments = "/api/v3/repos/acme/models/issues/12/comments"
    assert service.calls == [f"GET {comments}", f"POST {comments}"]


def test_a_token_that_is_refused_is_not_shown() -> None:
    with web_service(FakeGitHub()) as service:
        other = _channel(service, token=Secret(variable="OTHER"))
        with pytest.raises(NotifyError, match="status 401") as refused:
            other.send(digest(), world(OTHER="tok-other"))
    assert "tok-other" not in str(refused.value)
    assert not refused.value.is_transient


def test_too_many_requests_at_github_are_a_403_that_passes() -> None:
    github = FakeGitHub()
    github.first = [Reply(status=403, headers={"Retry-After": "3"}, body={"message": "secondary rate limit"})]
    with web_service(github) as service:
        (result,) = send_to_all([Subscription(channel=_channel(service))], digest(), world())
    assert (result.is_sent, result.attempt_count) == (True, 2)


def test_a_403_without_it_does_not_pass() -> None:
    with web_service(replies(Reply(status=403, body={"message": "Resource not accessible by integration"}))) as service:
        (result,) = send_to_all([Subscription(channel=_channel(service))], digest(), world())
    assert result.attempt_count == 1
    assert "may it write there?" in result.reason


def test_nowhere_and_two_places_are_refused() -> None:
    for place in ({}, {"issue": 12, "commit": "abc123"}):
        with pytest.raises(ValueError, match="name one of"):
            GitHub(name="x", repository="acme/models", token=Secret(variable="TOKEN"), **place)  # type: ignore[arg-type]
