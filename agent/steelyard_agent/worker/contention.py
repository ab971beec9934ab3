"""What others did to this process while it was timed: counters read right before and right after the window.

Sources: Documentation/scheduler/sched-stats.rst of Linux (``schedstat``: CPU time, time ready but not running, times
that it was put on a core), proc_stat(5) (``steal``), getrusage(2). Standard library only; a read costs some tens of
microseconds and falls outside the window. Latency itself is never looked at here.
"""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

# A thread counts as one that needs a core when it wanted one for this share of the window.
_BUSY_SHARE = 0.1
_CPU_LINE = re.compile(r"^cpu([0-9]+) ([0-9 ]+)$", re.MULTILINE)

# CPU time, time ready but not running (nanoseconds) and times put on a core, of one thread.
ThreadTimes = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contention:
    """What happened to this process within its timed window; None is "not told", with the reason in ``reasons``.

    ``run_delay_ns`` is the time that its threads were ready and did not run, ``waiting_ns`` what is left of it when
    each time that a thread was put on a core may cost ``allowed_ns``. ``thread_count`` are threads that wanted a core,
    ``core_count`` cores that it may use. ``busy_ns``, ``steal_ns`` and their ``step_ns`` are of these cores.
    """

    window_ns: int
    run_delay_ns: int | None = None
    waiting_ns: int | None = None
    thread_count: int | None = None
    core_count: int | None = None
    busy_ns: int | None = None
    own_ns: int | None = None
    steal_ns: int | None = None
    step_ns: int | None = None
    major_fault_count: int | None = None
    involuntary_switch_count: int | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """One reading. ``threads`` and ``cores`` are the reason why there are none where they are a text.

    ``cores`` has the clock ticks that each core was busy, and those that a hypervisor gave to other guests.
    """

    at_ns: int
    threads: Mapping[str, ThreadTimes] | str
    cores: Mapping[int, tuple[int, int]] | str
    own_ns: int
    major_fault_count: int
    involuntary_switch_count: int


# A thread that waits for work and is woken is "ready and not running" until its core has left its idle state: some
# microseconds each time, several thousand times a second under a pool that does not spin. A neighbour's time slice is a
# hundred times as long.
ALLOWED_WAKE_NS = 20_000


def read_counters(
    proc: Path = Path("/proc"), cores: frozenset[int] | None = None, clock: Callable[[], int] = time.perf_counter_ns
) -> Counters:
    """Read now; ``cores`` are those that this process may use, None for what the system says."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Counters(
        at_ns=clock(),
        threads=_threads(proc / "self" / "task"),
        cores=_cores(proc / "stat", lent_cores() if cores is None else cores),
        own_ns=time.process_time_ns(),
        major_fault_count=usage.ru_majflt,
        involuntary_switch_count=usage.ru_nivcsw,
    )


def lent_cores() -> frozenset[int]:
    """Return the cores that this process may use, empty where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def between(before: Counters, after: Counters, *, tick_ns: int, core_count: int) -> Contention:
    """Return what happened between two readings; ``tick_ns`` is the step in which /proc/stat counts."""
    window_ns = max(1, after.at_ns - before.at_ns)
    seen = Contention(
        window_ns=window_ns,
        core_count=core_count or None,
        own_ns=max(0, after.own_ns - before.own_ns),
        major_fault_count=after.major_fault_count - before.major_fault_count,
        involuntary_switch_count=after.involuntary_switch_count - before.involuntary_switch_count,
    )
    return _with_cores(_with_threads(seen, before, after), before, after, tick_ns)


class ContentionWatch:
    """Watches the timed window of one block: begun as the last thing before it, ended as the first thing after it."""

    def __init__(self) -> None:
        self._cores = lent_cores()
        self._before: Counters | None = None

    def begin(self) -> None:
        """Read the counters that the window is counted from; the last beginning counts."""
        self._before = read_counters(cores=self._cores)

    def end(self) -> Contention | None:
        """Return what happened since the beginning, None when there was none."""
        after = read_counters(cores=self._cores)
        tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        if self._before is None:
            return None
        return between(self._before, after, tick_ns=tick_ns, core_count=len(self._cores))


def _with_threads(seen: Contention, before: Counters, after: Counters) -> Contention:
    if isinstance(before.threads, str) or isinstance(after.threads, str):
        reason = before.threads if isinstance(before.threads, str) else after.threads
        return replace(seen, reasons=(*seen.reasons, f"time ready but not running: {reason}"))
    nothing = (0, 0, 0)
    spent = [
        tuple(late - early for late, early in zip(times, before.threads.get(name, nothing), strict=True))
        for name, times in after.threads.items()
    ]
    wanted_a_core = [ran_ns + waited_ns > _BUSY_SHARE * seen.window_ns for ran_ns, waited_ns, _ in spent]
    return replace(
        seen,
        run_delay_ns=sum(max(0, waited_ns) for _, waited_ns, _ in spent),
        waiting_ns=sum(max(0, waited_ns - count * ALLOWED_WAKE_NS) for _, waited_ns, count in spent),
        thread_count=sum(wanted_a_core),
    )


def _with_cores(seen: Contention, before: Counters, after: Counters, tick_ns: int) -> Contention:
    if isinstance(before.cores, str) or isinstance(after.cores, str):
        reason = before.cores if isinstance(before.cores, str) else after.cores
        return replace(seen, reasons=(*seen.reasons, f"time of others and of a hypervisor: {reason}"))
    both = before.cores.keys() & after.cores.keys()
    # Counters of a core that went offline and came back start anew.
    busy = sum(max(0, after.cores[core][0] - before.cores[core][0]) for core in both)
    steal = sum(max(0, after.cores[core][1] - before.cores[core][1]) for core in both)
    return replace(seen, busy_ns=busy * tick_ns, steal_ns=steal * tick_ns, step_ns=tick_ns)


def _threads(folder: Path) -> dict[str, ThreadTimes] | str:
    try:
        names = [one.name for one in folder.iterdir()]
    except OSError as error:
        return f"{folder} {_why(error)}"
    found: dict[str, ThreadTimes] = {}
    reason = f"{folder} names no thread"
    for name in names:
        file = folder / name / "schedstat"
        try:
            ran_ns, waited_ns, count = map(int, file.read_text().split())
        except ProcessLookupError:
            # It ended between the listing and the look.
            continue
        except OSError as error:
            reason = f"{folder}/*/schedstat {_why(error)}"
            continue
        except ValueError:
            reason = f"{folder}/*/schedstat does not hold three numbers"
            continue
        found[name] = (ran_ns, waited_ns, count)
    # A kernel without CONFIG_SCHED_INFO shows the file and leaves it at nothing.
    if found and not any(ran_ns for ran_ns, _, _ in found.values()):
        return f"{folder}/*/schedstat counts nothing on this kernel"
    return found or reason


def _cores(file: Path, lent: frozenset[int]) -> dict[int, tuple[int, int]] | str:
    try:
        text = file.read_text()
    except OSError as error:
        return f"{file} {_why(error)}"
    found = {}
    for core, counts in _CPU_LINE.findall(text):
        ticks = [int(one) for one in counts.split()]
        if int(core) in lent and len(ticks) >= 8:
            # user, nice, system, idle, iowait, irq, softirq, steal: guests are part of user.
            found[int(core)] = (sum(ticks[:3]) + ticks[5] + ticks[6], ticks[7])
    return found or f"{file} counts none of the cores that this process may use"


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is not there"
    return f"cannot be read ({(error.strerror or 'unreadable').lower()})"
