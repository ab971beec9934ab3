"""What a worker does with its own process before anything heavy is imported. Standard library only."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.platforms import has_linux_kernel

LAUNCH_VARIABLE = "STEELYARD_LAUNCH_NS"
SUPERVISOR_VARIABLE = "STEELYARD_SUPERVISOR_PID"

# linux/prctl.h: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1


def die_with_supervisor(environment: Mapping[str, str]) -> None:
    """Make sure that this process does not outlive the supervisor that launched it.

    On Linux and Android the kernel sends SIGKILL; elsewhere a daemon thread waits for the end of standard input (see
    ``watch_stdin``, which starts after the block was read). A process without ``STEELYARD_SUPERVISOR_PID`` was started
    by hand and is left alone.

    Raises:
        SystemExit: the supervisor died before this call.
    """
    expected = environment.get(SUPERVISOR_VARIABLE)
    if expected is None:
        return
    if has_linux_kernel():
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _check_parent(expected)


def watch_stdin(end: Callable[[], None] = lambda: os._exit(1)) -> threading.Thread | None:
    """Start the thread that ends this process at the end of standard input, where the kernel cannot do it."""
    if has_linux_kernel():
        return None
    thread = threading.Thread(target=_wait_for_end, args=(0, end), daemon=True)
    thread.start()
    return thread


def process_start_ns(environment: Mapping[str, str], now_ns: int) -> int | None:
    """Return the nanoseconds from the launch of this process until ``now_ns``, None when nobody told the launch.

    Both are of ``time.perf_counter_ns``, which counts for all processes of a machine.
    """
    launched = environment.get(LAUNCH_VARIABLE, "")
    if not launched.isdecimal() or not 0 < int(launched) <= now_ns:
        return None
    return now_ns - int(launched)


def pin(core_ids: Collection[int]) -> str:
    """Bind this process to logical cores, before a runtime makes its threads; return a note, "" when it worked.

    Raises:
        BlockFailure: USER_ERROR when this machine does not have or does not lend these cores.
    """
    if not core_ids:
        return ""
    if not hasattr(os, "sched_setaffinity"):
        return f"not pinned to cores {_listed(core_ids)}: {sys.platform} has no such call"
    allowed = os.sched_getaffinity(0)
    if missing := sorted(set(core_ids) - allowed):
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "no_such_core",
            f"core {missing[0]} is not one of the cores that this process may use ({_listed(allowed)}); "
            "name some of these",
        )
    os.sched_setaffinity(0, core_ids)
    return ""


def offer_to_oom_killer(path: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Ask the kernel to kill this process first when memory runs out; nothing happens where it cannot be asked."""
    try:
        path.write_text("1000")
    except OSError:
        # Not Linux, or a container that forbids it: the supervisor's own limit still holds.
        return


def now_ns() -> int:
    """Return the clock of every duration in a block."""
    return time.perf_counter_ns()


def _check_parent(expected: str) -> None:
    """End this process if the supervisor died before the kernel was asked: then nobody would ever send the signal."""
    if str(os.getppid()) != expected:
        raise SystemExit(f"the supervisor {expected} is gone; this worker ends")


def _wait_for_end(descriptor: int, end: Callable[[], None]) -> None:
    while os.read(descriptor, 4096):
        pass
    end()


def _listed(core_ids: Collection[int]) -> str:
    return ", ".join(str(core) for core in sorted(core_ids))
