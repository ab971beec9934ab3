"""A real sshd on loopback with keys of its own, for the tunnel that docs/agent.md describes.

Works as root and as a normal user, who can only log in as themselves: that is all the tunnel needs.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.addresses import free_port
from tests.support.processes import wait_until

_PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
# sshd changes its root to this folder before anybody logged in, and refuses to start as root without it.
_PRIVILEGE_SEPARATION_FOLDER = Path("/run/sshd")


def sshd_program() -> str | None:
    """Return the path of sshd, which is rarely on the PATH of a normal user, and None when it is not installed."""
    return shutil.which("sshd", path=_PLACES) if shutil.which("ssh") and shutil.which("ssh-keygen") else None


def accepts(port: int) -> bool:
    """Return whether something on loopback takes a connection at ``port``."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SshServer:
    """A running sshd and the files that a client of it needs."""

    port: int
    user: str
    key: Path
    known_hosts: Path
    log: Path
    pid: int

    @contextmanager
    def tunnel(self, documented: str, *, device_port: int, controller_port: int) -> Iterator[None]:
        """Run the documented ``ssh -N -R`` command with these ports until the context ends.

        Only the ports and ``USER@DEVICE`` are replaced; what is added says where this sshd is and what its keys are.
        """
        forward = f"{device_port}:127.0.0.1:{controller_port}"
        command = shlex.split(
            documented.replace("7433:127.0.0.1:7433", forward).replace("USER@DEVICE", f"{self.user}@127.0.0.1")
        )
        assert forward in command
        options = ["ExitOnForwardFailure=yes", "BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"]
        options += [f"UserKnownHostsFile={self.known_hosts}", f"IdentityFile={self.key}", f"Port={self.port}"]
        added = ["-F", "none", *(part for option in options for part in ("-o", option))]
        with subprocess.Popen([command[0], *added, *command[1:]], stdin=subprocess.DEVNULL) as client:
            try:
                wait_until(lambda: accepts(device_port) or client.poll() is not None)
                assert client.poll() is None, f"ssh ended with {client.poll()}; sshd says:\n{self.log.read_text()}"
                yield
            finally:
                client.terminate()
                client.wait(60)
        # The server's side of a session outlives its client for a moment, and would be an orphan without its parent.
        wait_until(lambda: not psutil.Process(self.pid).children())


@contextmanager
def running_sshd(folder: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[SshServer]:
    """Start an sshd in ``folder`` with fresh host and user keys, and end it with the context.

    ``environment`` is what every session has beside the usual.
    """
    program = sshd_program()
    assert program is not None, "install openssh-server and openssh-client: the tunnel is tested with the real ones"
    if os.geteuid() == 0:
        _PRIVILEGE_SEPARATION_FOLDER.mkdir(mode=0o755, exist_ok=True)
    port, user = free_port(), pwd.getpwuid(os.getuid()).pw_name
    host_key, key = _make_key(folder / "host_key"), _make_key(folder / "user_key")
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_key.with_suffix('.pub').read_text()}")
    config = folder / "sshd_config"
    given = " ".join(f'"{name}={value}"' for name, value in (environment or {}).items())
    config.write_text(_config(port, host_key, key.with_suffix(".pub"), user) + (f"SetEnv {given}\n" if given else ""))
    log = folder / "sshd.log"
    with log.open("wb") as stream, subprocess.Popen([program, "-D", "-e", "-f", str(config)], stderr=stream) as server:
        try:
            wait_until(lambda: accepts(port) or server.poll() is not None)
            assert server.poll() is None, f"sshd ended with {server.poll()}:\n{log.read_text()}"
            yield SshServer(port=port, user=user, key=key, known_hosts=known_hosts, log=log, pid=server.pid)
        finally:
            server.terminate()
            server.wait(60)


def _make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path


def _config(port: int, host_key: Path, authorized_keys: Path, user: str) -> str:
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": host_key,
        "AuthorizedKeysFile": authorized_keys,
        "AllowUsers": user,
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        # The temporary folder lies below one that everybody may write.
        "StrictModes": "no",
        "PidFile": "none",
    }
    return "".join(f"{key} {value}\n" for key, value in settings.items())
