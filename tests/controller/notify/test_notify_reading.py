from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomllib

from steelyard.notify.digest import Digest
from steelyard.notify.github import GitHub
from steelyard.notify.gitlab import GitLab
from steelyard.notify.reading import read_channels
from steelyard.notify.secret import Secret
from steelyard.notify.sending import ALWAYS, NOT_PASS, Subscription
from steelyard.notify.smtp import Mail
from steelyard.notify.webhook import Webhook
from steelyard.suites.errors import SuiteError
from tests.controller.notify.digests import digest

MAIL = 'kind = "email"\nhost = "smtp.example.org"\nfrom = "night@example.org"\nto = "ada@example.org"\n'
GITHUB = 'kind = "github"\nrepository = "acme/models"\ntoken_env = "GITHUB_TOKEN"\n'
GITLAB = 'kind = "gitlab"\nproject = "acme/models"\ntoken_env = "GITLAB_TOKEN"\n'


def _read(text: str) -> Subscription:
    (found,) = read_channels({"team": tomllib.loads(text)}, folder=Path("/suites"), source="night.toml")
    return found


def test_a_mail_channel_has_the_port_of_its_security() -> None:
    found = _read(MAIL)
    assert found.when == ALWAYS
    assert found.channel == Mail(
        name="team", host="smtp.example.org", port=587, sender="night@example.org", recipients=("ada@example.org",)
    )
    tls = _read(MAIL + 'security = "tls"\nuser = "n"\npassword_file = "secrets/mail"\nwhen = "not_pass"\n')
    assert tls.when == NOT_PASS
    assert isinstance(tls.channel, Mail)
    assert (tls.channel.port, tls.channel.password) == (465, Secret(file=Path("/suites/secrets/mail")))


def test_a_webhook_has_its_address_or_where_it_is() -> None:
    assert _read('kind = "webhook"\nurl = "https://chat.example.org/x"').channel == Webhook(
        name="team", url="https://chat.example.org/x"
    )
    found = _read('kind = "webhook"\nurl_env = "HOOK"\nformat = "json"\nheaders = { X-Key = { env = "KEY" } }').channel
    assert found == Webhook(
        name="team", url=Secret(variable="HOOK"), headers={"X-Key": Secret(variable="KEY")}, format="json"
    )


def test_github_and_gitlab_take_numbers_from_the_environment_as_text() -> None:
    token = Secret(variable="GITHUB_TOKEN")
    assert _read(GITHUB + 'pull_request = "12"').channel == GitHub(
        name="team", repository="acme/models", token=token, issue=12
    )
    assert _read(GITHUB + 'commit = "abc123"\napi = "https://git.example.org/api/v3/"').channel == GitHub(
        name="team", repository="acme/models", token=token, commit="abc123", api="https://git.example.org/api/v3"
    )
    assert _read(GITLAB + "merge_request = 5").channel == GitLab(
        name="team", project="acme/models", token=Secret(variable="GITLAB_TOKEN"), merge_request=5
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('host = "x"', "says no kind"),
        ('kind = "emial"', "did you mean 'email'"),
        (MAIL + 'pasword_env = "X"', "did you mean 'password_env'"),
        (MAIL + 'password = "hunter2"', "a secret stands in no suite"),
        (MAIL + 'user = "n"', "has no password"),
        (MAIL + 'security = "none"\nuser = "n"\npassword_env = "P"', "in the clear to smtp.example.org"),
        (MAIL.replace("ada@example.org", "ada"), "'ada' is no address"),
        (MAIL.replace("ada@example.org", "ada@example.org>\\nBcc: x@y.z"), "is no address"),
        (MAIL + "port = 70000", "is not a whole number from 1 to 65535"),
        (MAIL + 'when = "never"', "'never' is not known"),
        ('kind = "webhook"', "name one of url, url_env and url_file"),
        ('kind = "webhook"\nurl = "https://x"\nurl_env = "HOOK"', "name one of url, url_env and url_file"),
        ('kind = "webhook"\nurl = "ftp://x"', "is no URL"),
        ('kind = "webhook"\nurl = "https://[::1"', "is no URL"),
        ('kind = "webhook"\nurl_env = "A"\nurl_file = "b"', "name one of them"),
        ('kind = "webhook"\nurl = "http://x"\nheaders = { X = { env = "K" } }', "in the clear to x"),
        ('kind = "webhook"\nurl = "https://x"\nheaders = { X = "value" }', "is no table"),
        ('kind = "webhook"\nurl = "https://x"\nheaders = { X = {} }', "says no value"),
        ('kind = "webhook"\nurl = "https://x"\nheaders = { "X:" = { env = "K" } }', "is no name of a header"),
        (GITHUB, "name one of issue, pull_request and commit"),
        (GITHUB + 'issue = 1\ncommit = "x"', "name one of issue, pull_request and commit"),
        (GITHUB + 'issue = "one"', "is no number of one"),
        (GITHUB + "issue = 0", "is no number of one"),
        (GITHUB.replace("acme/models", "acme"), "is no repository"),
        (GITHUB.replace("token_env", "token") + "issue = 1", "name token_env or token_file"),
        (GITHUB + 'issue = 1\napi = "http://git.example.org"', "in the clear to git.example.org"),
        (GITLAB, "name one of merge_request and commit"),
        (GITLAB.replace("acme/models", "../x y") + "merge_request = 1", "is no project"),
    ],
)
def test_what_makes_no_channel_is_refused_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(SuiteError) as refused:
        _read(text)
    assert refused.value.reason == "invalid_notify"
    assert sentence in str(refused.value)
    assert "night.toml [notify.team]" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_all_problems_of_all_channels_are_told_at_once() -> None:
    tables: dict[str, dict[str, Any]] = {"a": {"kind": "webhook"}, "b": {"kind": "github", "issue": 1}}
    with pytest.raises(SuiteError) as refused:
        read_channels(tables, folder=Path("/suites"))
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "two\nlines"},
        {"title": ""},
        {"key": "a b"},
        {"key": "a-->b"},
        {"key": "a--b"},
        {"verdict": "GOOD"},
        {"url": "https://x y"},
        {"url": "https://x/" + "y" * 3000},
    ],
)
def test_a_digest_that_would_break_a_header_or_a_marker_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        digest(**changes)


def test_a_digest_says_where_the_report_is_when_it_is_somewhere() -> None:
    assert digest().text.endswith("\n\nhttps://ci.example.org/phones/31")
    assert Digest(key="k", number=1, title="t", verdict="PASS", lines=("a",), markdown="").text == "a"
