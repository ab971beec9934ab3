"""The way to a board until devices can be enrolled: `ssh -R`, as the documents say it, with a real sshd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import NotFoundError
from steelyard_protocol.v1 import control_pb2
from tests.support.addresses import free_port
from tests.support.anywhere import ANYWHERE
from tests.support.processes import wait_until
from tests.support.sshd import SshServer, running_sshd, sshd_program

DOCUMENTED = "ssh -N -R 7433:127.0.0.1:7433 USER@DEVICE"
NAME = "far-board"

pytestmark = pytest.mark.skipif(
    sshd_program() is None and not os.environ.get("CI"),
    reason="no sshd here (in CI this is a failure): install openssh-server and openssh-client",
)


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[SshServer]:
    folder = tmp_path / "ssh"
    folder.mkdir()
    with running_sshd(folder) as server:
        yield server


@contextmanager
def far_agent(port: int, folder: Path) -> Iterator[None]:
    """Run an agent that knows nothing but the port at which the tunnel ends on its side."""
    log = folder / "far-agent.log"
    arguments = ["run", "--controller", f"127.0.0.1:{port}", "--name", NAME, "--state-directory", str(folder / "far")]
    with (
        log.open("wb") as stream,
        subprocess.Popen([sys.executable, "-m", "steelyard_agent", *arguments], stderr=stream) as agent,
    ):
        try:
            yield
            assert agent.poll() is None, log.read_text()
        finally:
            agent.terminate()
        assert agent.wait(60) == 0
    assert "Traceback" not in log.read_text()


def online(client: Client) -> bool:
    try:
        return client.device(NAME).online
    except NotFoundError:
        return False


def port_of(client: Client) -> int:
    return int(client.controller().agent_address.rpartition(":")[2])


def test_the_documents_name_the_command_that_is_tested_here() -> None:
    assert DOCUMENTED in (Path(__file__).parents[2] / "docs" / "agent.md").read_text(encoding="utf-8")


def test_an_agent_behind_the_tunnel_measures_a_model(
    client: Client, ssh_server: SshServer, model: Callable[..., Path], tmp_path: Path
) -> None:
    port = free_port()
    with (
        ssh_server.tunnel(DOCUMENTED, device_port=port, controller_port=port_of(client)),
        far_agent(port, tmp_path),
    ):
        wait_until(lambda: online(client))
        options = MeasurementOptions(min_round_count=3, max_round_count=3, sample_window_ms=20, gate=ANYWHERE)
        handle = client.measure([client.add_model(model("linear_model"))], device=NAME, options=options)
        assert handle.wait().state == control_pb2.JOB_STATE_RECORDED
        measurement = handle.measurement()
    assert measurement.device_name == NAME
    assert measurement.round_count == 3
    assert measurement.variants[0].p50_latency.value > 0


def test_an_agent_finds_its_controller_again_when_the_tunnel_is_reopened(
    client: Client, ssh_server: SshServer, tmp_path: Path
) -> None:
    port = free_port()

    def tunnel() -> AbstractContextManager[None]:
        return ssh_server.tunnel(DOCUMENTED, device_port=port, controller_port=port_of(client))

    with far_agent(port, tmp_path):
        with tunnel():
            wait_until(lambda: online(client))
        wait_until(lambda: not online(client))
        with tunnel():
            wait_until(lambda: online(client))
