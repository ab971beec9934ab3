"""The reverse tunnel of `steelyard deploy --tunnel`, by a real sshd: it carries, it is refused, systemd may hold it."""

from __future__ import annotations

import configparser
import os
import pwd
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from steelyard.deploy.errors import DeployError
from steelyard.deploy.remote import Remote
from steelyard.deploy.target import SshTarget, parse_target
from steelyard.deploy.tunnel import end_tunnel, keep_tunnel, open_tunnel, tunnel_command, tunnel_unit_name
from tests.support.addresses import free_port
from tests.support.processes import wait_until
from tests.support.sshd import SshServer, accepts, running_sshd, sshd_program

LOGIN = pwd.getpwuid(os.getuid()).pw_name
ANSWER = b"this is the controller"

pytestmark = pytest.mark.skipif(
    (sshd_program() is None or sys.platform != "linux") and not os.environ.get("CI"),
    reason="no sshd here (in CI this is a failure): install openssh-server and openssh-client",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    folder = tmp_path / "ssh"
    folder.mkdir()
    with running_sshd(folder) as made:
        yield made
        # The server's side of a session outlives its client for a moment.
        wait_until(lambda: not psutil.Process(made.pid).children())


@pytest.fixture
def remote(server: SshServer) -> Remote:
    options = (f"UserKnownHostsFile={server.known_hosts}", f"IdentityFile={server.key}", "IdentitiesOnly=yes")
    return Remote(SshTarget(host="127.0.0.1", user=LOGIN, port=server.port), options=options)


@contextmanager
def controller() -> Iterator[int]:
    """Listen as a controller would, and say who it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(ANSWER)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def heard_at(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        return connection.makefile("rb").read()


def refusal(remote: Remote, *, device_port: int) -> str:
    tunnel = open_tunnel(remote, tunnel_command(remote, device_port=device_port, controller_port=free_port()))
    with pytest.raises(DeployError) as caught:
        tunnel.__enter__()
    assert caught.value.reason == "tunnel_refused"
    return str(caught.value)


def test_a_port_of_the_device_leads_to_the_controller_for_as_long_as_the_tunnel_is_open(remote: Remote) -> None:
    port = free_port()
    with controller() as controller_port:
        command = tunnel_command(remote, device_port=port, controller_port=controller_port)
        with open_tunnel(remote, command):
            assert heard_at(port) == ANSWER
        wait_until(lambda: not accepts(port))


def test_a_port_that_is_taken_on_the_device_is_told_with_what_to_do(remote: Remote) -> None:
    with controller() as taken:
        said = refusal(remote, device_port=taken)
    assert "choose another port with --tunnel" in said
    assert "forward" in said


def test_a_device_that_does_not_know_us_opens_no_tunnel(remote: Remote, server: SshServer) -> None:
    stranger = Remote(remote.target, options=(f"UserKnownHostsFile={server.known_hosts}", "IdentitiesOnly=yes"))
    assert "ermission denied" in refusal(stranger, device_port=free_port())


def test_a_systemd_of_the_user_is_given_the_same_command_and_it_carries(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >> {shlex.quote(str(said))}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    port = free_port()
    with controller() as controller_port:
        command = tunnel_command(remote, device_port=port, controller_port=controller_port)
        unit = keep_tunnel(remote, command, home=tmp_path)
        assert unit == tmp_path / ".config/systemd/user" / tunnel_unit_name(remote)
        assert f"--user enable -q --now {unit.name}" in said.read_text().splitlines()
        parser = configparser.RawConfigParser()
        parser.read(unit)
        with subprocess.Popen(shlex.split(parser["Service"]["ExecStart"]), stdin=subprocess.DEVNULL) as held:
            try:
                wait_until(lambda: accepts(port) or held.poll() is not None)
                assert heard_at(port) == ANSWER
            finally:
                held.terminate()
    assert end_tunnel(remote, home=tmp_path)
    assert not unit.exists()
    assert f"--user disable -q --now {unit.name}" in said.read_text().splitlines()
    assert not end_tunnel(remote, home=tmp_path)


def test_without_a_systemd_of_the_user_nothing_is_left_behind(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tunnel_command(remote, device_port=7433, controller_port=7433)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert keep_tunnel(remote, ssh, home=tmp_path) is None
    assert list(tmp_path.glob(".config/**/*.service")) == []


def test_devices_behind_the_ports_of_one_host_have_tunnels_of_their_own() -> None:
    names = [
        tunnel_unit_name(Remote(parse_target(f"ssh://{text}"))) for text in ("pi@gate:2201", "pi@gate:2202", "gate")
    ]
    assert names == [
        "steelyard-tunnel-pi-gate-2201.service",
        "steelyard-tunnel-pi-gate-2202.service",
        "steelyard-tunnel-gate.service",
    ]
