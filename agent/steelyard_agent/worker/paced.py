"""The paced mode: latency at a rate, with service and response time apart."""

from __future__ import annotations

import time
from dataclasses import replace

from steelyard_agent.worker.block import Block, WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from steelyard_agent.worker.modes import MOST_ARRIVALS
from steelyard_agent.worker.opening import Bench, explained, make_feeds
from steelyard_agent.worker.pacing import (
    PacedRun,
    even_offsets,
    make_waiter,
    pace,
    random_offsets,
    window_of,
)
from steelyard_agent.worker.phases import first_inference, read_memory, timed_window, warm
from steelyard_agent.worker.rough import rough_ms
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
        notes=(*bench.result.notes, *paced_notes(run)),
    )


def run_paced_window(call: Call, block: Block, window_ns: int, clock: Clock) -> tuple[int, int, int]:
    """Run at the block's rate for a window; return its start, its end and the number of inferences in it.

    Raises:
        BlockFailure: USER_ERROR when the window would hold more arrivals than a worker keeps.
    """
    if window_ns * block.mode.rate_hz / 1e9 > MOST_ARRIVALS:
        raise BlockFailure(
            BlockStatus.USER_ERROR,
            "too_many_arrivals",
            f"a window of {window_ns / 1e9:g} s at {block.mode.rate_hz:g} a second holds more than {MOST_ARRIVALS} "
            "arrivals; lower the rate, or measure energy in another mode",
        )
    offsets = _offsets(block, window_ns, 1)
    waiter = make_waiter(block.mode.rate_hz, clock, time.sleep)
    run = pace(call, offsets, window_ns=window_of(offsets, block.mode.rate_hz, window_ns), waiter=waiter)
    return run.start_ns, run.end_ns, len(run.service_ns)


def paced_notes(run: PacedRun) -> list[str]:
    """Return how precise the starts were, and whether a queue fell behind, in words that are alike in most rounds.

    What each arrival waited is its response time less its service time.
    """
    notes = []
    if idle := sorted(late for late, queued in zip(run.late_ns, run.queued, strict=True) if not queued):
        # Steps of ten: this differs from round to round, and each wording is another line for the reader.
        within = rough_ms(idle[len(idle) * 9 // 10], steps=(1,))
        notes.append(
            f"nine in ten arrivals that found the model idle began within {within} of their time: slept until shortly "
            "before, then spun"
        )
    if any(run.queued):
        notes.append("some arrivals found the last inference still running and waited for it: see response time")
    if run.missed_count:
        notes.append(
            "the queue fell behind: arrivals were due that never began within the window; lower the rate, or use a "
            "faster model or more threads"
        )
    return notes


def _offsets(block: Block, window_ns: int, least_count: int) -> tuple[int, ...]:
    rate_hz = block.mode.rate_hz
    if block.mode.random_arrivals:
        return random_offsets(rate_hz, window_ns=window_ns, least_count=least_count, seed=block.seed)
    return even_offsets(rate_hz, window_ns=window_ns, least_count=least_count)
