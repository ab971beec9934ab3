"""The kernel's counters of processes that it killed for memory: of the whole system, and of our own cgroup.

A cgroup's counter counts processes of that group, whichever memory ran out (Documentation/admin-guide/cgroup-v2.rst,
memory.events; version 1: memory.oom_control, since Linux 4.13). Where it can be read it is the better evidence: the
system's counter also rises when a neighbour's container hits its own limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from steelyard_agent.worker.ending import oom_kill_count

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
# A line of /proc/self/cgroup: "0::/user.slice" is version 2, "4:memory:/docker/…" the controller of version 1.
_LINE = re.compile(r"^(?P<number>\d+):(?P<controllers>[^:]*):(?P<path>.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OomCounters:
    """How many processes were killed for memory so far; None where that is not told."""

    system: int | None = None
    group: int | None = None

    def since(self, before: OomCounters) -> OomCounters:
        """Return by how much the counters rose."""
        return OomCounters(system=_rise(before.system, self.system), group=_rise(before.group, self.group))


def read_oom_counters(root: Path = Path("/")) -> OomCounters:
    """Return what the counters say now; ``root`` is where /proc and /sys are."""
    return OomCounters(system=oom_kill_count(root / "proc/vmstat"), group=_group_count(root))


def _group_count(root: Path) -> int | None:
    for path in _group_files(root):
        try:
            found = _COUNT.search(path.read_text())
        except OSError:
            continue
        if found is not None:
            return int(found[1])
    return None


def _group_files(root: Path) -> list[Path]:
    """Return where the counter of our group may lie; in a container its folder is the root of what is mounted."""
    try:
        text = (root / "proc/self/cgroup").read_text()
    except OSError:
        return []
    files = []
    mount = root / "sys/fs/cgroup"
    for line in _LINE.finditer(text):
        inside = line["path"].lstrip("/")
        if "memory" in line["controllers"].split(","):
            files += [mount / "memory" / inside / "memory.oom_control", mount / "memory/memory.oom_control"]
        elif line["number"] == "0" and not line["controllers"]:
            files += [folder / inside / "memory.events" for folder in (mount, mount / "unified")] + [
                mount / "memory.events"
            ]
    return files


def _rise(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
