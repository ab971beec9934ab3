"""An ssh tunnel by which a device behind a firewall reaches this controller: a port of its loopback that leads here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.deploy.errors import DeployError
from steelyard.deploy.remote import Remote
from steelyard.deploy.unit import tunnel_unit

_MAY_FAIL_WITHIN_S = 3.0


def tunnel_command(remote: Remote, *, device_port: int, controller_port: int) -> list[str]:
    """Return the ssh command that holds the tunnel open, and ends when its link is dead for 45 s."""
    options = ("ExitOnForwardFailure=yes", "ServerAliveInterval=15", "ServerAliveCountMax=3")
    flags = ["-N", "-T", *(part for option in options for part in ("-o", option))]
    return remote.words(*flags, "-R", f"127.0.0.1:{device_port}:127.0.0.1:{controller_port}")


def tunnel_unit_name(remote: Remote) -> str:
    """Return the name of the unit on this machine: one a login, as several devices may lie behind one host's ports."""
    login = str(remote.target).removeprefix("ssh://")
    return f"steelyard-tunnel-{''.join(one if one.isalnum() or one in '.-' else '-' for one in login)}.service"


def keep_tunnel(remote: Remote, command: list[str], *, home: Path) -> Path | None:
    """Let this user's systemd hold the tunnel open for good; return its unit, None where there is no such systemd."""
    if not _systemctl("list-units", "--no-legend", "steelyard-tunnel-*"):
        return None
    unit = home / ".config" / "systemd" / "user" / tunnel_unit_name(remote)
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(tunnel_unit(command=command, device=str(remote.target)), encoding="utf-8")
    started = _systemctl("daemon-reload") and _systemctl("enable", "-q", "--now", unit.name)
    return unit if started else None


def end_tunnel(remote: Remote, *, home: Path) -> bool:
    """Stop and remove the unit of a tunnel on this machine; return whether there was one."""
    unit = home / ".config" / "systemd" / "user" / tunnel_unit_name(remote)
    if not unit.exists():
        return False
    _systemctl("disable", "-q", "--now", unit.name)
    unit.unlink()
    _systemctl("daemon-reload")
    return True


@contextmanager
def open_tunnel(remote: Remote, command: list[str]) -> Iterator[None]:
    """Hold the tunnel open for as long as the context lasts.

    Raises:
        DeployError: ``tunnel_refused``.
    """
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _, said = process.communicate(timeout=_MAY_FAIL_WITHIN_S)
        except subprocess.TimeoutExpired:
            try:
                yield
            finally:
                process.terminate()
            return
        last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["nothing"]
        raise DeployError(
            "tunnel_refused", f"{remote.target} opens no tunnel ({last[0][:200]}); choose another port with --tunnel"
        )


def _systemctl(*words: str) -> bool:
    try:
        done = subprocess.run(
            ["systemctl", "--user", *words], capture_output=True, stdin=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
