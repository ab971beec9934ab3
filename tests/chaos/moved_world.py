"""Runs a module as ``python -m`` does, in a process whose wall clock a file moves while it runs.

The file also says which boot it sees, which way leads to a controller, and what else is different there.

``python -m tests.chaos.moved_world FILE MODULE ARGUMENT...``. Workers have the real clock.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How the world of one process differs; all but the clock is read when it starts."""

    # Added to its wall clock.
    clock_offset_s: float = 0.0
    # Which boot an agent sees; "": the real one.
    boot_id: str = ""
    # Where an agent that dials an address with its certificate comes out, both HOST:PORT.
    detours: Mapping[str, str] = field(default_factory=dict)
    # For how long a controller's certificates of devices are good; 0: as usual.
    certificate_life_s: float = 0.0
    # The name of what it does wrong; "": nothing. See ``tests.chaos.flaws``.
    flaw: str = ""

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
    _leave_deadlines(lambda: real_time_ns() / 1e9)


def _leave_deadlines(real_time: Callable[[], float]) -> None:
    """Let gRPC's Python reckon deadlines by the clock by which its core, which nobody moved, looks at them."""
    from grpc.aio import _utils

    _utils.time = SimpleNamespace(time=real_time)  # type: ignore[attr-defined]


def move_boot(path: Path) -> None:
    """Let the agent see the boot of the file."""
    from steelyard_agent import boot_id

    world = read_world(path)
    if world.boot_id:
        boot_id.read_boot_id = lambda _system: world.boot_id


def stay(path: Path) -> None:
    """Let an agent that becomes another process take its world along, and what it starts from there."""
    from steelyard_agent.cli import idle

    def words_here(module: str, *words: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "tests.chaos.moved_world", str(path), module, *words)

    idle.module_words = words_here


def move_ways(detours: Mapping[str, str]) -> None:
    """Let the agent dial another address than it believes. Before anybody imports what dials by name."""
    from steelyard_agent.link import channel

    dial = channel.open_secure_channel

    def dial_elsewhere(address: str, **others: Any) -> Any:
        return dial(detours.get(address, address), **others)

    channel.open_secure_channel = dial_elsewhere


def shorten_certificates(life_s: float) -> None:
    """Let the controller give devices certificates for so long. Before anybody imports their terms by name."""
    from steelyard.membership import terms

    terms.Terms = partial(terms.Terms, device_life_ns=int(life_s * 1e9))  # type: ignore[assignment, misc]


def differ(world: World, module: str) -> None:
    """Let this process, which is to be a controller or an agent, find what the world has but the clock and the boot."""
    if module == "steelyard_agent":
        move_ways(world.detours)
    if world.certificate_life_s:
        shorten_certificates(world.certificate_life_s)
    if world.flaw:
        from tests.chaos.flaws import Flaw, plant

        if Flaw[world.flaw].module == module:
            plant(Flaw[world.flaw])


if __name__ == "__main__":
    world_file, module = Path(sys.argv[1]), sys.argv[2]
    move_clock(world_file)
    if module == "steelyard_agent":
        stay(world_file)
        move_boot(world_file)
    differ(read_world(world_file), module)
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
