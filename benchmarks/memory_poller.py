"""A second program that looks at a process from outside: its memory a thousand times a second, until it is gone.

Usage: python memory_poller.py PARENT_PID   It waits for the first child of PARENT_PID that runs steelyard_agent.worker,
and prints a line "MONOTONIC_NS VMHWM_KIB VMRSS_KIB" whenever one of the two changed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_GIVE_UP_S = 60.0
_PERIOD_S = 0.001


def main(parent_pid: int) -> int:
    """Poll until the worker is gone; 1 when none came."""
    deadline = time.monotonic() + _GIVE_UP_S
    while (worker := _worker_of(parent_pid)) is None:
        if time.monotonic() > deadline:
            return 1
        time.sleep(_PERIOD_S)
    last = None
    while time.monotonic() < deadline and (seen := _memory(worker)) is not None:
        if seen != last:
            print(time.monotonic_ns(), *seen)
            last = seen
        time.sleep(_PERIOD_S)
    return 0


def _worker_of(parent_pid: int) -> Path | None:
    children = Path(f"/proc/{parent_pid}/task").glob("*/children")
    for pid in " ".join(path.read_text() for path in children).split():
        folder = Path("/proc") / pid
        try:
            if b"steelyard_agent.worker" in (folder / "cmdline").read_bytes():
                return folder
        except OSError:
            continue
    return None


def _memory(folder: Path) -> tuple[int, int] | None:
    try:
        lines = (folder / "status").read_text().splitlines()
    except OSError:
        return None
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith(("VmHWM", "VmRSS"))}
    return (int(found["VmHWM"]), int(found["VmRSS"])) if len(found) == 2 else None


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
