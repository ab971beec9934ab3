"""Memory and CPU of a process with its children, from psutil and, where Linux has it, the scheduler's nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil


def memory_bytes(pid: int) -> dict[str, int]:
    """Return resident, unique and, on Linux, proportional bytes (``smaps_rollup``) of a process and its children."""
    process = psutil.Process(pid)
    total: dict[str, int] = {}
    for each in (process, *process.children(recursive=True)):
        told = each.memory_full_info()
        for name in ("rss", "uss", "pss"):
            if hasattr(told, name):
                total[f"{name}_bytes"] = total.get(f"{name}_bytes", 0) + getattr(told, name)
    return total


def cpu_s(pid: int, proc: Path = Path("/proc")) -> float:
    """Return the CPU seconds that a process and its living children have used, in nanoseconds' resolution on Linux.

    ``/proc/PID/task/*/schedstat`` begins with the nanoseconds on a CPU (kernel, Documentation/scheduler/sched-stats);
    where there is none, ticks of 10 ms.
    """
    process = psutil.Process(pid)
    pids = [pid, *(child.pid for child in process.children(recursive=True))]
    files = [path for each in pids for path in (proc / str(each) / "task").glob("*/schedstat")]
    if files:
        return schedstat_s(path.read_text() for path in files)
    times = [psutil.Process(each).cpu_times() for each in pids]
    return sum(each.user + each.system for each in times)


def schedstat_s(texts: Iterable[str]) -> float:
    """Return the CPU seconds of threads by their schedstat lines ("191098345 18658295 416")."""
    return sum(int(text.split()[0]) for text in texts) / 1e9
