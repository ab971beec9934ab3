"""Looking at processes that the tests started, by their command lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psutil

# Of what takes seconds: a machine that others keep busy may be twenty times slower.
_PATIENCE_S = 120.0


def children_running(module: str, parent: int | None = None) -> list[psutil.Process]:
    """Return the descendants of a process (this one by default) that run ``python -m module``."""
    return [one for one in psutil.Process(parent).children(recursive=True) if module in _command_line(one)]


def _command_line(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def wait_until(condition: Callable[[], object], *, timeout_s: float = _PATIENCE_S, step_s: float = 0.02) -> None:
    """Poll until ``condition`` is true; fail the test when it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never came true within {timeout_s} s"
        time.sleep(step_s)


def wait_for_a_new_one(find: Callable[[], list[psutil.Process]], *, timeout_s: float = _PATIENCE_S) -> psutil.Process:
    """Return a process that ``find`` lists and did not list at first: its work is ahead of it.

    One that was there before may have sent its result already, and to kill it then harms nothing.
    """
    before = set(find())
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [one for one in find() if one not in before]
        return bool(found)

    wait_until(look, timeout_s=timeout_s)
    return found[0]
