"""Looking at processes that the tests started, by their command lines."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def children_running(module: str, parent: int | None = None) -> list[psutil.Process]:
    """Return the descendants of a process (this one by default) that run ``python -m module``."""
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        try:
            if module in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(condition: Callable[[], object], *, timeout_s: float = 30.0, step_s: float = 0.02) -> None:
    """Poll until ``condition`` is true; fail the test when it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never came true within {timeout_s} s"
        time.sleep(step_s)
