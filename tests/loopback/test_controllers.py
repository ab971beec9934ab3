"""Finding, sharing and refusing controllers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.control.connect import connect
from steelyard.control.controller import Controller
from steelyard.errors import DeviceError, UsageError
from steelyard.fleet.ports import PortTakenError
from steelyard.settings import Settings
from steelyard.store.lock import StateLockedError
from tests.support.processes import wait_until


def test_a_second_client_finds_the_controller_that_holds_the_state_directory(settings: Settings) -> None:
    with connect(settings=settings) as first, connect(settings=settings) as second:
        assert first.controller().controller_id == second.controller().controller_id
        assert second.controller().temporary


async def test_a_second_controller_on_one_state_directory_is_refused_by_name(settings: Settings) -> None:
    first = Controller(settings)
    await first.start()
    try:
        with pytest.raises(StateLockedError) as caught:
            await Controller(settings).start()
        assert str(os.getpid()) in str(caught.value)
        assert str(settings.state_directory) in str(caught.value)
    finally:
        await first.stop()
    successor = Controller(settings)
    await successor.start()
    await successor.stop()


async def test_a_port_that_is_taken_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(PortTakenError, match="--listen") as caught:
            await Controller(Settings(state_directory=tmp_path / "state", agent_listen=address)).start()
        assert address in str(caught.value)


def test_a_controller_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="steelyard serve"):
        connect(f"unix:{tmp_path}/nobody.sock", state_directory=tmp_path)


def test_a_controller_over_a_network_needs_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="steelyard login CODE") as caught:
        connect("127.0.0.1:7433")
    assert caught.value.reason == "not_logged_in"


def test_a_controller_that_listens_off_loopback_is_refused_with_the_tunnel(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--secure-listen .*by a tunnel"):
        Settings(state_directory=tmp_path, agent_listen="0.0.0.0:7433")


def test_an_agent_without_a_controller_says_so_and_keeps_trying(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = tmp_path / "agent.log"
    arguments = ["run", "--controller", address, "--state-directory", str(tmp_path / "agent")]
    with (
        log.open("wb") as stream,
        subprocess.Popen([sys.executable, "-m", "steelyard_agent", *arguments], stderr=stream) as agent,
    ):
        try:
            wait_until(lambda: address in log.read_text())
            assert agent.poll() is None
        finally:
            agent.terminate()
        assert agent.wait(60) == 0
    assert "Traceback" not in log.read_text()
