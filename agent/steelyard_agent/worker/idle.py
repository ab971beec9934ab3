"""Asleep for the meters: what the device draws with a worker that does nothing, without a model and with one loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.opening import Bench
from steelyard_agent.worker.phases import timed_window
from steelyard_agent.worker.stopwatch import Clock, quiet_collector

Sleep = Callable[[float], None]

# Importing and loading are work: clocks fall, and sensors that average forget it, within a second. As long again after
# the end keeps the end of the process out of them.
SETTLE_NS = 1_000_000_000

_clock = time.perf_counter_ns


def run_idle(bench: Bench) -> WorkerResult:
    """Sleep for the block's idle window; its edges come back. No model is loaded and nothing runs."""
    with quiet_collector():
        bench.say("window")
        with timed_window(bench):
            start_ns, end_ns = rest(bench.block.idle_window_ms * 1_000_000, clock=_clock)
    bench.say("steady")
    return replace(bench.result, is_idle=True, window_start_ns=start_ns, window_end_ns=end_ns)


def rest_loaded(bench: Bench) -> None:
    """Sleep with the model loaded, where the block asks for it, and keep the edges in the result."""
    if not bench.block.loaded_rest_ms:
        return
    bench.say("loaded_rest")
    start_ns, end_ns = rest(bench.block.loaded_rest_ms * 1_000_000, clock=_clock)
    bench.result = replace(bench.result, loaded_start_ns=start_ns, loaded_end_ns=end_ns)


def rest(length_ns: int, *, clock: Clock, sleep: Sleep = time.sleep) -> tuple[int, int]:
    """Sleep until it has settled, through the window, and a while longer; return the window's edges."""
    start_ns = clock() + SETTLE_NS
    end_ns = start_ns + length_ns
    while (left_ns := end_ns + SETTLE_NS - clock()) > 0:
        sleep(left_ns / 1e9)
    return start_ns, end_ns
