"""Watches the resident set of a worker from outside, so that a hungry model is stopped before the device suffers.

``RLIMIT_AS`` would break CUDA and large memory maps, and cgroups need rights that an agent may not have; one read of
``/proc/PID/statm`` costs about a microsecond.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

POLL_INTERVAL_S = 0.1
_DEFAULT_SHARE = 0.8


def resident_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """Return the resident set of a process, None when it is gone or its memory cannot be read."""
    try:
        fields = (proc / str(pid) / "statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return None if proc.joinpath("self").exists() else _resident_without_proc(pid)
    except (OSError, IndexError, ValueError):
        return None


def default_limit_bytes(proc: Path = Path("/proc")) -> int | None:
    """Return 80 % of the memory that is available now, None where the system does not tell."""
    available = available_bytes(proc)
    return None if available is None else int(available * _DEFAULT_SHARE)


def available_bytes(proc: Path = Path("/proc")) -> int | None:
    """Return the memory that processes could take without swapping: MemAvailable, or what psutil says elsewhere."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except PermissionError:
        return None
    except OSError:
        import psutil

        return int(psutil.virtual_memory().available)
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


@dataclass(slots=True)
class LeastAvailable:
    """The least memory that was available on the device so far, over everything that runs there."""

    byte_count: int | None = None

    def look(self, proc: Path = Path("/proc")) -> None:
        """Take in what is available now: about 20 us on Linux."""
        now = available_bytes(proc)
        if now is not None:
            self.byte_count = now if self.byte_count is None else min(self.byte_count, now)


async def wait_until_over(
    pid: int, limit_bytes: int, *, least: LeastAvailable | None = None, proc: Path = Path("/proc")
) -> int:
    """Return the resident bytes of a process once they are over the limit; never returns otherwise.

    ``least`` takes in what is available on the device meanwhile, every ``POLL_INTERVAL_S``.
    """
    while True:
        resident = resident_bytes(pid, proc)
        if least is not None:
            least.look(proc)
        if resident is not None and resident > limit_bytes:
            return resident
        await asyncio.sleep(POLL_INTERVAL_S)


def _resident_without_proc(pid: int) -> int | None:
    """Ask psutil, on systems without /proc."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
