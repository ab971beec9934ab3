"""The paced mode: latency at a rate, with service and response time apart."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from steelyard_agent.worker.block import Block, WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.opening import Bench, explained, make_feeds
from steelyard_agent.worker.pacing import (
    PacedRun,
    Waiter,
    even_offsets,
    make_waiter,
    pace,
    random_offsets,
    window_of,
)
from steelyard_agent.worker.phases import first_inference, read_memory, timed_window, warm
from steelyard_agent.worker.stopwatch import Call, Clock, quiet_collector

_clock = time.perf_counter_ns


def run_paced(bench: Bench, model: LoadedModel) -> WorkerResult:
    """Measure one inference an arrival.

    Raises:
        BlockFailure: the model cannot be fed or run.
    """
    call = model.bind(make_feeds(bench, model))
    block, timing = bench.block, bench.block.timing
    window_ns = block.mode.window_ms(timing.sample_window_ms, timing.min_sample_count) * 1_000_000
    offsets = _offsets(block, window_ns, timing.min_sample_count)
    with explained(model):
        first_inference(bench, call)
        with quiet_collector():
            warm(bench, call, batches=False)
            read_memory(bench)
            waiter = make_waiter(block.mode.rate_hz, _clock, time.sleep)
            with timed_window(bench):
                run = pace(call, offsets, window_ns=window_of(offsets, block.mode.rate_hz, window_ns), waiter=waiter)
    return replace(
        bench.result,
        latency_ns=run.service_ns,
        response_ns=run.response_ns,
        missed_count=run.missed_count,
        sample_count=len(run.service_ns),
        notes=(*bench.result.notes, *paced_notes(run, block.mode, waiter)),
    )


def run_paced_window(call: Call, block: Block, window_ns: int, clock: Clock) -> tuple[int, int, int]:
    """Run at the block's rate for a window; return its start, its end and the number of inferences in it."""
    offsets = _offsets(block, window_ns, 1)
    waiter = make_waiter(block.mode.rate_hz, clock, time.sleep)
    run = pace(call, offsets, window_ns=window_of(offsets, block.mode.rate_hz, window_ns), waiter=waiter)
    return run.start_ns, run.end_ns, len(run.service_ns)


def paced_notes(run: PacedRun, mode: Mode, waiter: Waiter) -> list[str]:
    """Return how precise the starts were, and what a queue that fell behind looked like."""
    count = len(run.service_ns)
    kind = "random, seeded" if mode.random_arrivals else "even"
    notes = [f"{count} {kind} arrivals at {mode.rate_hz:g} a second"]
    if idle := [late for late, queued in zip(run.late_ns, run.queued, strict=True) if not queued]:
        notes[0] += (
            f"; those that found the model idle began {_ms(median(idle))} late at the median, {_ms(max(idle))} at most "
            f"(slept until {_ms(waiter.spin_ns)} before each, then spun)"
        )
    if queued_count := sum(run.queued):
        notes.append(
            f"{queued_count} of {count} arrivals found the last inference still running and waited "
            f"{_ms(max(run.late_ns))} at most"
        )
    if run.missed_count:
        notes.append(
            f"the queue fell behind: {run.missed_count} of {count + run.missed_count} arrivals never began within the "
            f"window, for {mode.rate_hz:g} a second is more than the median service time of "
            f"{_ms(median(run.service_ns))} allows or something stalled; lower the rate or use a faster model"
        )
    return notes


def _offsets(block: Block, window_ns: int, least_count: int) -> tuple[int, ...]:
    rate_hz = block.mode.rate_hz
    if block.mode.random_arrivals:
        return random_offsets(rate_hz, window_ns=window_ns, least_count=least_count, seed=block.seed)
    return even_offsets(rate_hz, window_ns=window_ns, least_count=least_count)


def _ms(duration_ns: float) -> str:
    return f"{duration_ns / 1e6:.3g} ms"
