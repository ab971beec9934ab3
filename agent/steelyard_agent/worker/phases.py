"""The phases of every timed block: first inference, warm-up, memory, the timed window. They stay apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from steelyard_agent.worker.opening import Bench
from steelyard_agent.worker.stopwatch import Call, WarmUp, clock_cost_ns, inner_batch_count, warm_up

_clock = time.perf_counter_ns


def first_inference(bench: Bench, call: Call) -> None:
    """Run once and keep how long it took."""
    before = _clock()
    call()
    took_ns = _clock() - before
    bench.reached("first_run")
    bench.result = replace(bench.result, first_inference_ns=took_ns)


def warm(bench: Bench, call: Call, *, batches: bool = True) -> tuple[WarmUp, int]:
    """Warm up, note what a reader must know, and return with it the inferences that one sample needs.

    Without ``batches`` a sample is one inference, however short.
    """
    timing = bench.block.timing
    warmth = warm_up(call, timing, _clock)
    needed = inner_batch_count(warmth.estimate_ns, clock_cost_ns(_clock))
    inner_count = needed if batches else 1
    notes = []
    if not warmth.steady:
        notes.append(
            f"warm-up hit its cap of {timing.warmup_cap_ms} ms before three windows of {timing.warmup_window_ms} ms "
            f"agreed within {timing.warmup_tolerance:.0%}"
        )
    if inner_count > 1:
        notes.append(f"each sample is the mean of {inner_count} inferences: one is too short for the clock")
    elif needed > 1:
        notes.append("reading the clock takes more than a hundredth of an inference: the shortest times are too long")
    bench.result = replace(
        bench.result,
        warmup_ns=warmth.duration_ns,
        warmup_steady=warmth.steady,
        notes=(*bench.result.notes, *notes),
    )
    return warmth, inner_count


def read_memory(bench: Bench) -> None:
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


@dataclass(slots=True)
class TimedWindow:
    """Takes wall time, CPU time of all threads, and what others did meanwhile, into the bench's result."""

    bench: Bench
    _start_ns: int = 0
    _cpu_start_ns: int = 0

    def begin(self) -> None:
        """Begin; the last thing before the first sample, and some tens of microseconds long."""
        self.bench.contention.begin()
        self._cpu_start_ns, self._start_ns = time.process_time_ns(), _clock()

    def end(self) -> None:
        """End; the first thing after the last sample, while the threads that took it still live."""
        window_ns = _clock() - self._start_ns
        cpu_ns = time.process_time_ns() - self._cpu_start_ns
        contention = self.bench.contention.end()
        self.bench.result = replace(self.bench.result, window_ns=window_ns, cpu_ns=cpu_ns, contention=contention)


@contextmanager
def timed_window(bench: Bench) -> Iterator[None]:
    """Take as a timed window what runs inside."""
    window = TimedWindow(bench)
    window.begin()
    yield
    window.end()
