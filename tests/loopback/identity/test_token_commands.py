"""A token from the command that makes it to the commands that use it: one line in the environment, nothing on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.control.client import Client
from steelyard.control.logins import Logins
from steelyard.control.token import decode_token
from tests.controller.cli.running import run_command
from tests.loopback.identity.conftest import here
from tests.support.certificate_holder import enroll


@pytest.fixture
def shelf(client: Client) -> None:
    """A device with a tag."""
    asyncio.run(enroll(client.identity.invite_device(tags=("rack1",)).code, name="pi5"))


def made(state: Path, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = here(state, "user", "token", "ci", *words, "--json").document
    return document


def test_a_token_is_printed_as_one_line_and_listed_with_its_reach_and_its_end(state: Path, shelf: None) -> None:
    ran = here(state, "user", "token", "ci", "--pool", "raspberry-pi-5", "--pool", "tag:rack1", "--device", "pi5")
    (line,) = ran.out.splitlines()
    assert decode_token(line).user == "ci"
    assert "measures on pi5, pool:raspberry-pi-5, tag:rack1 until" in ran.err
    assert "STEELYARD_TOKEN" in ran.err
    (listed,) = here(state, "user", "list", "--json").document["users"]
    assert listed["scope"] == ["pi5", "pool:raspberry-pi-5", "tag:rack1"]
    table = here(state, "user", "list").out
    assert "token" in table
    assert "tag:rack1" in table
    assert max(map(len, table.splitlines())) <= 80


def test_the_controller_keeps_neither_the_token_nor_its_key(state: Path, shelf: None) -> None:
    token = made(state, "--device", "pi5")["token"]
    key = decode_token(token).key_pem.splitlines()[1]
    kept = [path.read_bytes() for path in state.rglob("*") if path.is_file()]
    assert any(b"pi5" in content for content in kept)
    assert not any(token.encode() in content or key in content for content in kept)


def test_commands_use_the_token_of_the_environment_and_write_nothing_down(
    state: Path, client: Client, shelf: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = made(state, "--pool", "tag:rack1")["token"]
    address = client.identity.authorities().addresses[0]
    monkeypatch.setenv("STEELYARD_TOKEN", f" {token}\n")
    before = {path for path in tmp_path.rglob("*") if state not in path.parents}
    (device,) = run_command("device", "list", "--json").document["devices"]
    assert device["description"]["name"] == "pi5"
    assert run_command("--controller", address, "job", "list", "--json").document["jobs"] == []
    assert "not for a token" in run_command("device", "invite").is_refused()
    assert {path for path in tmp_path.rglob("*") if state not in path.parents} == before
    assert not Logins().folder.exists()


def test_the_controllers_own_socket_asks_for_no_token(
    state: Path, client: Client, shelf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_TOKEN", made(state, "--device", "pi5")["token"])
    from steelyard.store.lock import lock_holder

    holder = lock_holder(state)
    assert holder is not None
    assert run_command("--controller", f"unix:{holder.socket}", "user", "list", "--json").code == 0


def test_a_removed_token_opens_nothing(
    state: Path, client: Client, shelf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = made(state, "--device", "pi5")["token"]
    assert "ci (token) may not use" in here(state, "user", "remove", "ci").err
    monkeypatch.setenv("STEELYARD_TOKEN", token)
    assert "revoked" in run_command("device", "list").is_refused()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda token: token[:-9], "damaged or not whole"),
        (lambda token: token[5:], "does not begin with"),
        (lambda _token: "hunter2-hunter2", "does not begin with"),
        (lambda _token: " ", "is empty"),
    ],
    ids=["cut", "headless", "another-secret", "empty"],
)
def test_a_damaged_token_is_one_sentence_that_does_not_quote_it(
    state: Path, shelf: None, monkeypatch: pytest.MonkeyPatch, damage: Callable[[str], str], told: str
) -> None:
    text = damage(made(state, "--device", "pi5")["token"])
    monkeypatch.setenv("STEELYARD_TOKEN", text)
    line = run_command("device", "list").is_refused()
    assert told in line
    assert len(text) == 1 or text[5:15] not in line
