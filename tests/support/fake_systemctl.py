"""A `systemctl` that really starts a process and honours Type=notify. A program; FAKE_SYSTEMD is its folder.

It keeps the process id in ``UNIT.pid`` and what is enabled in ``UNIT.enabled``; units lie where FAKE_UNITS says.
"""

from __future__ import annotations

import configparser
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path(os.environ.get("FAKE_SYSTEMD", "/nowhere"))
UNITS = Path(os.environ.get("FAKE_UNITS", "/nowhere"))


def main(words: list[str]) -> int:
    if "--user" in words:
        sys.stdout.write("offline\n")
        return 1
    action, names = words[0], [word for word in words[1:] if not word.startswith("-")]
    if action == "is-system-running":
        sys.stdout.write("running\n")
        return 0
    if action == "daemon-reload":
        return 0
    unit = names[0]
    if action == "enable":
        (FOLDER / f"{unit}.enabled").touch()
        return 0 if (UNITS / unit).exists() else 1
    if action == "disable":
        (FOLDER / f"{unit}.enabled").unlink(missing_ok=True)
        return 0
    stop(unit)
    return start(unit) if action == "restart" else 0


def start(unit: str) -> int:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / unit)
    service = parser["Service"]
    assert service["Type"] == "notify"
    address = FOLDER / f"{os.getpid()}.notify"
    environment = {
        **os.environ,
        "NOTIFY_SOCKET": str(address),
        "WATCHDOG_USEC": str(int(service["WatchdogSec"]) * 1_000_000),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, (FOLDER / f"{unit}.log").open("ab") as log:
        channel.bind(str(address))
        channel.settimeout(0.1)
        process = subprocess.Popen(
            shlex.split(service["ExecStart"]),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
        (FOLDER / f"{unit}.pid").write_text(str(process.pid))
        told = b""
        while process.poll() is None and b"READY=1" not in told:
            with suppress(TimeoutError):
                told = channel.recv(4096)
    address.unlink()
    if process.poll() is not None:
        (FOLDER / f"{unit}.pid").unlink()
        sys.stderr.write(f"Job for {unit} failed\n")
        return 1
    return 0


def stop(unit: str) -> None:
    file = FOLDER / f"{unit}.pid"
    if not file.exists():
        return
    pid = int(file.read_text())
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while runs(pid):
            time.sleep(0.02)
    file.unlink()


def runs(pid: int) -> bool:
    """Return whether a process lives."""
    try:
        # The state follows the name in parentheses; a zombie waits only for a parent that is gone.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
