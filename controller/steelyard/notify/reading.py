"""The ``[notify.NAME]`` tables of a suite as channels; every problem at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steelyard.listening import is_loopback
from steelyard.notify.address import split_url
from steelyard.notify.contract import Channel
from steelyard.notify.github import DEFAULT_API as GITHUB_API
from steelyard.notify.github import GitHub
from steelyard.notify.gitlab import DEFAULT_API as GITLAB_API
from steelyard.notify.gitlab import GitLab
from steelyard.notify.secret import Secret
from steelyard.notify.secret_keys import secret_of
from steelyard.notify.sending import ALWAYS, NOT_PASS, Subscription
from steelyard.notify.smtp import NO_TLS, STARTTLS, TLS, Mail
from steelyard.notify.webhook import JSON, SLACK, Webhook
from steelyard.suites.errors import Problems
from steelyard.suites.tables import Table

_PORTS = {STARTTLS: 587, TLS: 465, NO_TLS: 25}
_ALL = ("kind", "when")
_MAIL = ("host", "port", "security", "user", "password_env", "password_file", "from", "to")
_WEBHOOK = ("url", "url_env", "url_file", "headers", "format")
_GITHUB = ("repository", "issue", "pull_request", "commit", "token_env", "token_file", "api")
_GITLAB = ("project", "merge_request", "commit", "token_env", "token_file", "api")
_ADDRESS = re.compile(r"[^\s@<>,]+@[^\s@<>,]+|[^\r\n<>@,]+ <[^\s@<>,]+@[^\s@<>,]+>")


def read_channels(
    tables: Mapping[str, Mapping[str, Any]], *, folder: Path, source: str = "the suite"
) -> tuple[Subscription, ...]:
    """Return the channels of ``[notify.NAME]`` tables whose ``${NAME}`` are filled in.

    Args:
        tables: By name.
        folder: What the paths of secrets' files are relative to.
        source: What the file is called in sentences.

    Raises:
        SuiteError: ``invalid_notify``, with all problems.
    """
    problems = Problems()
    found = [
        _read(name, Table(values, f"{source} [notify.{name}]", problems), folder) for name, values in tables.items()
    ]
    problems.refuse("invalid_notify")
    return tuple(one for one in found if one is not None)


def _read(name: str, table: Table, folder: Path) -> Subscription | None:
    kind = table.text("kind")
    if not kind:
        table.complain("", f'says no kind; write kind = "email" (known: {", ".join(_KINDS)})')
        return None
    table.choice("kind", "", tuple(_KINDS))
    if kind not in _KINDS:
        return None
    known, read = _KINDS[kind]
    for secret in ("password", "token"):
        if secret in table and f"{secret}_env" in known:
            table.complain(secret, f"a secret stands in no suite, which is stored: name {secret}_env or {secret}_file")
    table.refuse_unknown((*_ALL, *known, *(one for one in ("password", "token") if f"{one}_env" in known)))
    channel = read(name, table, folder)
    when = table.choice("when", ALWAYS, (ALWAYS, NOT_PASS))
    return None if channel is None else Subscription(channel=channel, when=when)


def _mail(name: str, table: Table, folder: Path) -> Channel | None:
    security = table.choice("security", STARTTLS, tuple(_PORTS))
    user, password = table.text("user"), secret_of(table, "password", folder)
    host, sender, recipients = table.text("host"), table.text("from"), table.texts("to")
    if not host:
        table.complain("host", 'names no mail server; write host = "smtp.example.org"')
    if user and password is None:
        table.complain("user", "has no password: name password_env or password_file")
    if security == NO_TLS and password is not None and not is_loopback(host):
        table.complain("security", f"a password would travel in the clear to {host}: write starttls or tls")
    if not recipients:
        table.complain("to", 'is nobody; write to = ["team@example.org"]')
    for key, address in (("from", sender), *(("to", one) for one in recipients)):
        if _ADDRESS.fullmatch(address) is None or not address.isascii():
            table.complain(key, f"{address!r} is no address such as team@example.org")
    port = table.count("port", _PORTS[security], low=1, high=65_535)
    return Mail(
        name=name,
        host=host,
        port=port,
        sender=sender,
        recipients=recipients,
        security=security,
        user=user,
        password=password,
    )


def _webhook(name: str, table: Table, folder: Path) -> Channel | None:
    url, secret = table.text("url"), secret_of(table, "url", folder)
    if bool(url) == bool(secret):
        table.complain(
            "url", "name one of url, url_env and url_file; an URL that is itself a secret is one of the last"
        )
        return None
    headers = _headers(table.table("headers"), folder)
    if url:
        _check_url(table, "url", url, is_secret=bool(headers))
    form = table.choice("format", SLACK, (SLACK, JSON))
    return Webhook(name=name, url=secret or url, headers=headers, format=form)


def _headers(table: Table, folder: Path) -> dict[str, Secret]:
    headers = {}
    for name in table.raw():
        one = table.table(name)
        one.refuse_unknown(("env", "file"))
        secret = secret_of(one, "", folder)
        if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) is None:
            table.complain(name, "is no name of a header")
        elif secret is not None:
            headers[name] = secret
        else:
            one.complain("", 'says no value; write { env = "NAME" } or { file = "PATH" }')
    return headers


def _github(name: str, table: Table, folder: Path) -> Channel | None:
    repository = table.text("repository")
    if re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", repository) is None:
        table.complain("repository", f'{repository!r} is no repository; write "owner/name"')
    numbers = [_number(table, key) for key in ("issue", "pull_request")]
    commit = table.text("commit")
    token = _token(table, folder)
    api = _api(table, GITHUB_API)
    if sum(one is not None for one in numbers) + bool(commit) != 1:
        table.complain("", "name one of issue, pull_request and commit")
        return None
    issue = next((one for one in numbers if one is not None), None)
    if token is None:
        return None
    return GitHub(name=name, repository=repository, token=token, issue=issue, commit=commit, api=api)


def _gitlab(name: str, table: Table, folder: Path) -> Channel | None:
    project = table.text("project")
    if re.fullmatch(r"[0-9]+|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+", project) is None:
        table.complain("project", f'{project!r} is no project; write "group/name" or its number')
    number, commit, token = _number(table, "merge_request"), table.text("commit"), _token(table, folder)
    api = _api(table, GITLAB_API)
    if (number is None) != bool(commit):
        table.complain("", "name one of merge_request and commit")
        return None
    if token is None:
        return None
    return GitLab(name=name, project=project, token=token, merge_request=number, commit=commit, api=api)


_KINDS: Mapping[str, tuple[tuple[str, ...], Callable[[str, Table, Path], Channel | None]]] = {
    "email": (_MAIL, _mail),
    "webhook": (_WEBHOOK, _webhook),
    "github": (_GITHUB, _github),
    "gitlab": (_GITLAB, _gitlab),
}


def _number(table: Table, key: str) -> int | None:
    """Return a number that may be a text: in CI it comes from the environment."""
    value = table.raw().get(key)
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    table.complain(key, f"{value!r} is no number of one; write {key} = 12")
    return None


def _token(table: Table, folder: Path) -> Secret | None:
    token = secret_of(table, "token", folder)
    if token is None:
        table.complain("", "has no token: name token_env or token_file")
    return token


def _api(table: Table, default: str) -> str:
    api = table.text("api", default).rstrip("/")
    _check_url(table, "api", api, is_secret=True)
    return api


def _check_url(table: Table, key: str, url: str, *, is_secret: bool) -> None:
    try:
        split_url(url, is_secret=is_secret)
    except ValueError as error:
        table.complain(key, f"{error}" if str(error).startswith(("its ", "a ")) else f"{url!r} is no URL")
