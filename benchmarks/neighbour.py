"""A neighbour on the same machine: a process that keeps a share of one core busy, in short turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.3
# A neighbour whose turns are shorter than a scheduler's slice is never moved away for good.
PERIOD_MS = 10

_PROGRAM = """
import sys, time
share, period_s = float(sys.argv[1]), float(sys.argv[2]) / 1000
parent_gone = time.monotonic() + 3600
while time.monotonic() < parent_gone:
    busy_until = time.perf_counter() + share * period_s
    while time.perf_counter() < busy_until:
        pass
    time.sleep((1 - share) * period_s)
"""


@contextmanager
def busy_neighbour(*, present: bool) -> Iterator[None]:
    """Run a neighbour while the block runs, if there is one; an hour at most, whatever happens."""
    with busy_share(SHARE if present else 0.0):
        yield


@contextmanager
def busy_share(share: float) -> Iterator[None]:
    """Keep a share of one core busy while the block runs, nothing for 0; an hour at most, whatever happens."""
    if share <= 0.0:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(share), str(PERIOD_MS)])
    try:
        yield
    finally:
        process.kill()
        process.wait()
