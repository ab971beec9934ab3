"""Who runs a night: a name by which another run on this machine can tell that the process is dead."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import uuid
from pathlib import Path


def runner_name() -> str:
    """Return this process's name: its user and machine for people, its number and where that number counts."""
    return f"{getpass.getuser()}@{socket.gethostname()} {os.getpid()} {_place()}-{uuid.uuid4().hex[:8]}"


def is_dead(runner: str) -> bool:
    """Say whether a runner was a process of this machine that is there no more; False where nobody can know."""
    place = _place()
    words = runner.split(" ")
    if not place or len(words) < 3 or not words[-1].startswith(f"{place}-") or not words[-2].isdigit():
        return False
    try:
        os.kill(int(words[-2]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _place() -> str:
    """Return what stands for this boot and this namespace of process numbers, "" where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]
