"""Runs a module as ``python -m`` does, in a process whose wall clock and boot id a file moves while it runs.

``python -m tests.chaos.moved_world FILE MODULE ARGUMENT...``. What it starts (workers) has the real clock.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How the world of one process differs: seconds added to its wall clock, and which boot it sees ("": the real)."""

    clock_offset_s: float = 0.0
    boot_id: str = ""

    def write(self, path: Path) -> None:
        """Replace what the process reads; it sees all of it or nothing."""
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(path)


def read_world(path: Path) -> World:
    """Return what ``World.write`` wrote."""
    return World(**json.loads(path.read_text()))


def move_clock(path: Path) -> None:
    """Let ``time.time`` and ``time.time_ns`` follow the file. Before anybody imports them by name."""
    real_time_ns = time.time_ns
    seen = (-1, 0)

    def time_ns() -> int:
        nonlocal seen
        inode = path.stat().st_ino
        if inode != seen[0]:
            seen = (inode, int(read_world(path).clock_offset_s * 1e9))
        return real_time_ns() + seen[1]

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


def move_boot(path: Path) -> None:
    """Let the agent see the boot of the file."""
    from steelyard_agent import boot_id

    world = read_world(path)
    if world.boot_id:
        boot_id.read_boot_id = lambda _system: world.boot_id


if __name__ == "__main__":
    world_file, module = Path(sys.argv[1]), sys.argv[2]
    move_clock(world_file)
    if module == "steelyard_agent":
        move_boot(world_file)
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
