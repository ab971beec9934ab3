"""The spawned agent `local`: brought back a bounded number of times, ended with its controller."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from steelyard.fleet import local_agent
from steelyard.fleet.local_agent import MAX_RESTARTS, LocalAgent

# In place of the agent's interpreter: says that it ran, then does what the test wants.
DIES = '#!/bin/sh\necho "$@" >&2\nexit 3\n'
STAYS = '#!/bin/sh\necho "$@" >&2\nexec cat\n'
STUBBORN = "#!/bin/sh\ntrap '' TERM\necho ready >&2\nwhile :; do read -r line || sleep 0.05; done\n"


def agent_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> LocalAgent:
    interpreter = tmp_path / "python"
    interpreter.write_text(script)
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    return LocalAgent(state_directory=tmp_path / "local-agent", controller_address="127.0.0.1:7433")


async def until(condition) -> None:
    async def watch() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(watch(), 60)


async def test_an_agent_that_dies_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = agent_with(tmp_path, monkeypatch, DIES)
    await agent.ensure()
    await until(lambda: agent.gave_up)
    assert agent.restart_count == MAX_RESTARTS
    assert agent.pid is None
    assert len(agent.log_path.read_text().splitlines()) == 1 + MAX_RESTARTS
    assert str(agent.log_path) in caplog.records[-1].getMessage()
    # The next job that wants it gives it another chance.
    await agent.ensure()
    await until(lambda: agent.gave_up)
    assert len(agent.log_path.read_text().splitlines()) == 2 * (1 + MAX_RESTARTS)
    await agent.stop()


async def test_an_agent_that_was_killed_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_with(tmp_path, monkeypatch, STAYS)
    await agent.ensure()
    first = agent.pid
    assert first is not None
    await agent.ensure()
    assert agent.pid == first
    psutil.Process(first).kill()
    await until(lambda: agent.pid not in {None, first})
    assert agent.restart_count == 1
    assert not agent.gave_up
    await agent.stop()
    assert agent.pid is None


async def test_it_is_told_where_to_dial_and_what_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_with(tmp_path, monkeypatch, STAYS)
    await agent.ensure()
    await until(lambda: agent.log_path.read_text().endswith("\n"))
    await agent.stop()
    command = agent.log_path.read_text().split()
    assert command[command.index("--controller") + 1] == "127.0.0.1:7433"
    assert command[command.index("--name") + 1] == "local"
    assert "--exit-with-stdin" in command
    assert agent.log_path.parent.stat().st_mode & 0o077 == 0


async def test_an_agent_that_ignores_the_request_to_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_agent, "_STOP_GRACE_S", 0.1)
    agent = agent_with(tmp_path, monkeypatch, STUBBORN)
    await agent.ensure()
    await until(lambda: "ready" in agent.log_path.read_text())
    pid = agent.pid
    assert pid is not None
    await agent.stop()
    assert not psutil.pid_exists(pid)


async def test_stopping_what_never_ran_is_nothing(tmp_path: Path) -> None:
    agent = LocalAgent(state_directory=tmp_path, controller_address="127.0.0.1:7433")
    await agent.stop()
    assert agent.pid is None
    assert not agent.gave_up


async def test_an_interpreter_that_cannot_be_started_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    agent = LocalAgent(state_directory=tmp_path / "local-agent", controller_address="127.0.0.1:7433")
    with pytest.raises(OSError):
        await agent.ensure()
    await agent.stop()
