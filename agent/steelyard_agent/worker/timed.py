"""Latency and energy blocks: first inference, warm-up, then a timed window. Phases stay apart."""

from __future__ import annotations

import time
from dataclasses import replace

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.marker import run_marker
from steelyard_agent.worker.opening import Bench, explained, make_feeds, open_model
from steelyard_agent.worker.stopwatch import (
    Call,
    WarmUp,
    clock_cost_ns,
    inner_batch_count,
    quiet_collector,
    run_window,
    take_samples,
    warm_up,
)
from steelyard_agent.worker.trend import trend_note

_clock = time.perf_counter_ns


def run_latency(bench: Bench) -> WorkerResult:
    """Measure single inferences.

    Raises:
        BlockFailure: the model cannot be loaded, fed or run.
    """
    model = open_model(bench)
    call = model.bind(make_feeds(bench, model))
    with explained(model):
        _first(bench, call)
        with quiet_collector():
            warmth, inner_count = _warm(bench, call)
            _read_memory(bench)
            latency_ns = take_samples(
                call, bench.block.timing, estimate_ns=warmth.estimate_ns, inner_count=inner_count, clock=_clock
            )
    bench.say("steady")
    notes = [note for note in (trend_note(latency_ns),) if note]
    return replace(
        bench.result,
        latency_ns=latency_ns,
        inner_batch_count=inner_count,
        sample_count=len(latency_ns),
        notes=(*bench.result.notes, *notes),
    )


def run_energy(bench: Bench) -> WorkerResult:
    """Run back to back for one window; its edges come back so that a meter's readings can be cut to it.

    Where the block asks for one, a load marker runs before the window; its edges come back as well.

    Raises:
        BlockFailure: the model cannot be loaded, fed or run.
    """
    model = open_model(bench)
    call = model.bind(make_feeds(bench, model))
    with explained(model):
        _first(bench, call)
        with quiet_collector():
            _, inner_count = _warm(bench, call)
            _read_memory(bench)
            edges = _mark(bench, call, inner_count)
            bench.say("window")
            start, end, count = run_window(call, bench.block.energy_window_ms * 1_000_000, inner_count, _clock)
    bench.say("steady")
    return replace(bench.result, sample_count=count, window_start_ns=start, window_end_ns=end, marker_edges_ns=edges)


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


def _first(bench: Bench, call: Call) -> None:
    before = _clock()
    call()
    took_ns = _clock() - before
    bench.reached("first_run")
    bench.result = replace(bench.result, first_inference_ns=took_ns)


def _warm(bench: Bench, call: Call) -> tuple[WarmUp, int]:
    """Warm up, note what a reader must know, and return with it the inferences that one sample needs."""
    timing = bench.block.timing
    warmth = warm_up(call, timing, _clock)
    inner_count = inner_batch_count(warmth.estimate_ns, clock_cost_ns(_clock))
    notes = []
    if not warmth.steady:
        notes.append(
            f"warm-up hit its cap of {timing.warmup_cap_ms} ms before three windows of {timing.warmup_window_ms} ms "
            f"agreed within {timing.warmup_tolerance:.0%}"
        )
    if inner_count > 1:
        notes.append(f"each sample is the mean of {inner_count} inferences: one is too short for the clock")
    bench.result = replace(
        bench.result,
        warmup_ns=warmth.duration_ns,
        warmup_steady=warmth.steady,
        notes=(*bench.result.notes, *notes),
    )
    return warmth, inner_count


def _read_memory(bench: Bench) -> None:
    """Read the steady phase and the peak before samples are stored, in silence: the supervisor must not wake now.

    The samples are ours, and a faster model has more of them: with 1 s of samples a model of 7 us read 5 MiB above the
    same model with 20 ms.
    """
    bench.memory.read("steady")
    peak = bench.memory.peak()
    bench.result = replace(
        bench.result,
        memory_phases=bench.memory.phases,
        memory_reason=bench.memory.reason,
        peak_resident_bytes=peak.resident_bytes,
        peak_source=peak.source,
    )
