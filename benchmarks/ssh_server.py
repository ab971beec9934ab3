"""An sshd on loopback with keys of its own, for peers that copy through ssh."""

from __future__ import annotations

import asyncio
import getpass
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.latency_block import BlockError

_START_S = 20.0
# As root sshd changes into it before anybody logged in.
_PRIVILEGE_SEPARATION_FOLDER = Path("/run/sshd")


@asynccontextmanager
async def ssh_login(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Run an sshd with its files in ``folder``; yield the ssh command that logs in and the login (USER@HOST).

    Raises:
        BlockError: there is no sshd here.
    """
    port = free_port()
    program, words = await asyncio.to_thread(_prepared, folder, port)
    process = await asyncio.create_subprocess_exec(program, "-D", "-f", str(folder / "sshd_config"))
    try:
        await listening(port)
        yield shlex.join(words), f"{getpass.getuser()}@127.0.0.1"
    finally:
        process.terminate()
        await process.wait()


def _prepared(folder: Path, port: int) -> tuple[str, list[str]]:
    """Write keys and settings; return sshd's path and the ssh command that logs in."""
    program = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if program is None or shutil.which("ssh") is None:
        raise BlockError("there is no sshd or no ssh here: install openssh-server and openssh-client")
    if os.geteuid() == 0:
        _PRIVILEGE_SEPARATION_FOLDER.mkdir(mode=0o755, exist_ok=True)
    for name in ("host_key", "login_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "sshd_config").write_text(_config(folder, port), encoding="ascii")
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}", encoding="ascii")
    options = ("BatchMode=yes", f"UserKnownHostsFile={known}", "Compression=no", "IdentitiesOnly=yes")
    words = ["ssh", "-F", "none", "-p", str(port), "-i", str(folder / "login_key")]
    return program, [*words, *(part for option in options for part in ("-o", option))]


def free_port() -> int:
    """Return a port of loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listening(port: int) -> None:
    """Wait until something takes a connection at ``port``."""
    async with asyncio.timeout(_START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


def _config(folder: Path, port: int) -> str:
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "login_key.pub",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        # The temporary folder lies below one that everybody may write.
        "StrictModes": "no",
        "PidFile": "none",
    }
    return "".join(f"{key} {value}\n" for key, value in settings.items())
