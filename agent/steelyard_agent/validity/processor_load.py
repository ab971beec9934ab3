"""How busy others keep the processor: all CPU time less that of this agent and of what it started.

Sources: proc_stat(5), proc_pid_stat(5) (``utime``, ``stime``, and ``cutime``, ``cstime`` of children that ended).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from steelyard_agent.meters.contract import System
from steelyard_agent.meters.sysfs import SourceError, read_text

_STAT = "/proc/stat"
_OWN = "/proc/self/stat"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorTimes:
    """Seconds of CPU time since boot of everything, and of the agent with its ended children; at a time (seconds)."""

    at_s: float
    busy_s: float
    own_s: float


def read_processor_times(system: System, *, is_ours: bool = True) -> ProcessorTimes | str:
    """Read now, or return why it cannot be told; without ``is_ours`` the agent itself runs elsewhere."""
    try:
        total = re.search(r"^cpu +([0-9 ]+)$", read_text(system, _STAT), re.MULTILINE)
        ticks = [int(one) for one in total.group(1).split()] if total else []
        if len(ticks) < 7:
            return f"{_STAT} has no line of all cores"
        own_s = _own_s(read_text(system, _OWN)) if is_ours else 0.0
    except SourceError as error:
        return str(error)
    # user, nice, system, irq, softirq; not idle, iowait and steal.
    busy = sum(ticks[:3]) + ticks[5] + ticks[6]
    return ProcessorTimes(at_s=system.clock_ns() / 1e9, busy_s=busy / _TICKS_PER_S, own_s=own_s)


def other_load(before: ProcessorTimes, after: ProcessorTimes) -> float:
    """Return the CPU time of others between two readings over the time between them: 0.1 is a tenth of one core."""
    passed_s = max(1e-9, after.at_s - before.at_s)
    return max(0.0, (after.busy_s - before.busy_s) - (after.own_s - before.own_s)) / passed_s


def _own_s(text: str) -> float:
    # The name in parentheses may hold blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    try:
        return sum(int(one) for one in fields[11:15]) / _TICKS_PER_S
    except ValueError:
        raise SourceError("not_a_number", f"{_OWN} does not hold the times of a process") from None
