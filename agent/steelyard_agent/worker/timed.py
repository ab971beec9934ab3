"""Latency and energy blocks: first inference, warm-up, then a timed window. Phases stay apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from steelyard_agent.worker import modes
from steelyard_agent.worker.block import Block, WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.idle import rest_loaded
from steelyard_agent.worker.marker import run_marker
from steelyard_agent.worker.opening import Bench, explained, make_feeds, open_model
from steelyard_agent.worker.paced import run_paced, run_paced_window
from steelyard_agent.worker.phases import first_inference, read_memory, timed_window, warm
from steelyard_agent.worker.processing import time_processing
from steelyard_agent.worker.stepwise import run_stepwise
from steelyard_agent.worker.stopwatch import (
    Call,
    fill_store,
    quiet_collector,
    run_window,
    sample_store,
)
from steelyard_agent.worker.streams import run_multi_stream
from steelyard_agent.worker.sustained import run_sustained
from steelyard_agent.worker.trend import trend_note

_clock = time.perf_counter_ns


def run_latency(bench: Bench) -> WorkerResult:
    """Measure inferences in the block's mode, then what the task declares around them.

    Raises:
        BlockFailure: the model cannot be loaded, fed or run, or the mode does not fit it.
    """
    model = open_model(bench)
    bench.result = _RUNNERS[bench.block.mode.name](bench, model)
    bench.say("steady")
    return time_processing(bench, model, _clock)


def run_energy(bench: Bench) -> WorkerResult:
    """Run back to back, or at the plan's rate, for one window; its edges come back to cut a meter's readings to it.

    Where the block asks for them, the worker sleeps with the model loaded before anything runs, and a load marker runs
    before the window; their edges come back as well.

    Raises:
        BlockFailure: the model cannot be loaded, fed or run.
    """
    model = open_model(bench)
    rest_loaded(bench)
    call = model.bind(make_feeds(bench, model))
    with explained(model):
        first_inference(bench, call)
        with quiet_collector():
            warmth, inner_count = warm(bench, call)
            read_memory(bench)
            window_ns = energy_window_ns(bench.block, warmth.estimate_ns)
            edges = _mark(bench, call, inner_count)
            bench.say("window")
            with timed_window(bench):
                if bench.block.mode.name == modes.PACED:
                    start, end, count = run_paced_window(call, bench.block, window_ns, _clock)
                else:
                    start, end, count = run_window(call, window_ns, inner_count, _clock)
    bench.say("steady")
    return replace(
        bench.result,
        sample_count=count,
        window_start_ns=start,
        window_end_ns=end,
        marker_edges_ns=edges,
    )


def energy_window_ns(block: Block, estimate_ns: float) -> int:
    """Return how long the energy window lasts: longer than asked for where one inference takes ``estimate_ns``.

    A tenth more than the wanted inferences take, because a window of just as many would hold one too few half the time.
    """
    mode = block.mode
    each_ns = max(estimate_ns, 1e9 / mode.rate_hz) if mode.name == modes.PACED else estimate_ns
    wanted_ms = min(1.1 * block.least_inference_count * each_ns / 1e6, block.longest_energy_window_ms)
    return round(max(block.energy_window_ms, wanted_ms) * 1e6)


def _run_closed_loop(bench: Bench, model: LoadedModel) -> WorkerResult:
    """Single stream and offline: the next inference begins when the last one is over."""
    call = model.bind(make_feeds(bench, model))
    timing = bench.block.timing
    with explained(model):
        first_inference(bench, call)
        with quiet_collector():
            warmth, inner_count = warm(bench, call)
            read_memory(bench)
            store = sample_store(timing, estimate_ns=warmth.estimate_ns, inner_count=inner_count)
            with timed_window(bench):
                count = fill_store(call, store, timing, inner_count=inner_count, clock=_clock)
    latency_ns = tuple(store[:count])
    notes = [note for note in (trend_note(latency_ns),) if note]
    return replace(
        bench.result,
        latency_ns=latency_ns,
        inner_batch_count=inner_count,
        sample_count=count * inner_count,
        notes=(*bench.result.notes, *notes),
    )


def _mark(bench: Bench, call: Call, inner_count: int) -> tuple[int, ...]:
    block = bench.block
    if not block.marker_pulse_count:
        return ()
    bench.say("marker")
    return run_marker(
        call,
        pulse_count=block.marker_pulse_count,
        pulse_ns=block.marker_pulse_ms * 1_000_000,
        inner_count=inner_count,
        clock=_clock,
    )


_RUNNERS: dict[str, Callable[[Bench, LoadedModel], WorkerResult]] = {
    modes.SINGLE_STREAM: _run_closed_loop,
    modes.OFFLINE: _run_closed_loop,
    modes.PACED: run_paced,
    modes.MULTI_STREAM: run_multi_stream,
    modes.SUSTAINED: run_sustained,
    modes.STEPWISE: run_stepwise,
}
