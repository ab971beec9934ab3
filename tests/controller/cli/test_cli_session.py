"""A command whose controller others still use says how it ended before it waits for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import pytest

from steelyard.cli.session import connected, say
from steelyard.errors import UsageError


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that another command uses to the end."""

    @contextmanager
    def connect(*, settings: object, on_guests: Callable[[], None]) -> Iterator[str]:
        try:
            yield "client"
        finally:
            on_guests()

    monkeypatch.setattr("steelyard.control.connect.connect", connect)


@pytest.mark.usefixtures("guests")
def test_what_went_wrong_is_said_before_the_wait(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError), connected(click.Context(click.Command("any"))):
        raise UsageError("bad_task", "task.toml has no calibration samples; add some")
    assert capsys.readouterr().err.startswith("failed: task.toml has no calibration samples; add some; another command")


@pytest.mark.usefixtures("guests")
def test_a_command_that_did_its_work_says_done(capsys: pytest.CaptureFixture[str]) -> None:
    with connected(click.Context(click.Command("any"))):
        pass
    assert capsys.readouterr().err.startswith("done; another command uses this controller")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_is_said_beside_logs_in_json_is_json_too(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @click.option("--log-format")
    def command(log_format: str) -> None:
        say("agents: 100 % of\nthem")

    command.main(["--log-format", log_format], standalone_mode=False)
    said = capsys.readouterr().err
    if log_format == "text":
        assert said == "agents: 100 % of\nthem\n"
    else:
        told = json.loads(said)
        assert (told["message"], told["level"], told["logger"]) == ("agents: 100 % of\nthem", "info", "steelyard.cli")
