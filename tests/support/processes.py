"""Looking at processes that the tests started, by their command lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psutil


def children_running(module: str, parent: int | None = None) -> list[psutil.Process]:
    """Return the descendants of a process (this one by default) that run ``python -m module``."""
    return [one for one in psutil.Process(parent).children(recursive=True) if module in _command_line(one)]


def _command_line(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def wait_until(condition: Callable[[], object], *, timeout_s: float = 30.0, step_s: float = 0.02) -> None:
    """Poll until ``condition`` is true; fail the test when it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never came true within {timeout_s} s"
        time.sleep(step_s)
