"""The sampler process: ``python -m steelyard_agent.sampler``; its order comes on standard input.

It ends when its standard input ends (its agent stopped it, or died) or on SIGTERM, and imports no more than it needs.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import sys
import time
from pathlib import Path

from steelyard_agent.meters.contract import System
from steelyard_agent.sampler.loop import run_loop
from steelyard_agent.sampler.protocol import decode_order


def main() -> int:
    """Run until told to stop; returns 0, or 2 when the order makes no sense."""
    line = _read_line(sys.stdin.fileno())
    try:
        order = decode_order(line)
    except (TypeError, ValueError) as error:
        print(f"sampler: {error}", file=sys.stderr)
        return 2
    _leave_cores(order.avoid_core_ids)
    system = System(root=Path(order.system_root), clock_ns=time.perf_counter_ns)
    rng = random.Random()  # noqa: S311 - spreads sample times, guards nothing
    try:
        run_loop(order, system=system, wait_for_stop=_StopWatch(), emit=_write, rng=rng)
    except BrokenPipeError:
        return 0  # The agent is gone: nobody is left to tell.
    return 0


def _read_line(descriptor: int) -> str:
    # Unbuffered: nothing but the order may be taken from the pipe, whose end is the signal to stop.
    data = b""
    while not data.endswith(b"\n") and (chunk := os.read(descriptor, 65536)):
        data += chunk
    return data.decode("utf-8", "replace")


class _StopWatch:
    """Waits for the end of standard input or for a signal."""

    def __init__(self) -> None:
        self._wake, self._signalled = socket.socketpair()
        self._signalled.setblocking(False)
        signal.set_wakeup_fd(self._signalled.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def __call__(self, seconds: float) -> bool:
        readable, _, _ = select.select([sys.stdin.fileno(), self._wake], [], [], seconds)
        return bool(readable)


def _leave_cores(core_ids: tuple[int, ...]) -> None:
    """Move off the cores that are measured, where the system can and another core is left."""
    if not hasattr(os, "sched_setaffinity"):
        return
    others = os.sched_getaffinity(0) - set(core_ids)
    if core_ids and others:
        os.sched_setaffinity(0, others)


def _write(text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


if __name__ == "__main__":
    sys.exit(main())
