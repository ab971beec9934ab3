"""The multi-stream mode: several sessions of one model in this process, each a single stream in a thread of its own."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

from steelyard_agent.worker.block import Timing, WorkerResult
from steelyard_agent.worker.contract import LoadedModel
from steelyard_agent.worker.lock_probe import keeps_lock
from steelyard_agent.worker.opening import Bench, explained, make_feeds
from steelyard_agent.worker.phases import TimedWindow, first_inference, read_memory, warm
from steelyard_agent.worker.stopwatch import (
    MOST_SAMPLES,
    Call,
    Clock,
    fill_store,
    quiet_collector,
    run_window,
    sample_store,
)

_clock = time.perf_counter_ns


def run_multi_stream(bench: Bench, model: LoadedModel) -> WorkerResult:
    """Measure the streams together.

    Raises:
        BlockFailure: a session cannot be loaded, fed or run.
    """
    feeds = make_feeds(bench, model)
    count = bench.block.mode.stream_count
    sessions = [model, *(_another(bench) for _ in range(count - 1))]
    if count > 1:
        # The phase is that of all sessions, its time that of the first.
        bench.memory.read("loaded")
    # Arrays of its own for each: sessions that share their input would find it in the cache of their neighbour.
    calls = [one.bind({name: values.copy() for name, values in feeds.items()}) for one in sessions]
    timing = bench.block.timing
    with explained(model):
        first_inference(bench, calls[0])
        for call in calls[1:]:
            call()
        with quiet_collector():
            warmth, inner_count = warm(bench, calls[0])
            takes_turns = count > 1 and keeps_lock(calls[0], warmth.estimate_ns)
            read_memory(bench)
            stores = [
                sample_store(
                    timing, estimate_ns=warmth.estimate_ns, inner_count=inner_count, most=MOST_SAMPLES // count
                )
                for _ in calls
            ]
            window = TimedWindow(bench)
            streams = run_streams(
                calls, stores, timing, inner_count=inner_count, clock=_clock, begin=window.begin, end=window.end
            )
    latency_ns = in_turn(streams)
    return replace(
        bench.result,
        latency_ns=latency_ns,
        inner_batch_count=inner_count,
        sample_count=len(latency_ns) * inner_count,
        notes=(*bench.result.notes, *_notes(bench, count, takes_turns=takes_turns)),
    )


def run_streams(
    calls: Sequence[Call],
    stores: Sequence[array[int]],
    timing: Timing,
    *,
    inner_count: int,
    clock: Clock,
    begin: Callable[[], None],
    end: Callable[[], None],
) -> list[tuple[int, ...]]:
    """Run every call in a thread of its own and return the samples of each.

    All run one warm-up window together, then wait for each other, ``begin`` is called, and all are released to be
    timed. ``end`` is called when the last one is done, while all threads still live.

    Raises:
        Exception: the first one that a stream ended with, when all have ended.
    """
    started = threading.Barrier(len(calls))
    release = threading.Barrier(len(calls), action=begin)
    done = threading.Barrier(len(calls), action=end)
    samples: list[tuple[int, ...]] = [()] * len(calls)
    failures: list[BaseException] = []

    def stream(index: int) -> None:
        call, store = calls[index], stores[index]
        try:
            started.wait()
            run_window(call, timing.warmup_window_ms * 1_000_000, inner_count, clock)
            release.wait()
            count = fill_store(call, store, timing, inner_count=inner_count, clock=clock)
            done.wait()
            samples[index] = tuple(store[:count])
        except threading.BrokenBarrierError:
            # Another stream failed: its error is the one to tell.
            return
        except BaseException as error:  # noqa: BLE001 (handed to the caller's thread)
            failures.append(error)
            for barrier in (started, release, done):
                barrier.abort()

    threads = [threading.Thread(target=stream, args=(index,), daemon=True) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return samples


def in_turn(streams: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the samples of all streams in about the order in which they came: the first of each, then the second."""
    turns = chain.from_iterable(zip_longest(*streams))
    return tuple(sample for sample in turns if sample is not None)


def _another(bench: Bench) -> LoadedModel:
    return bench.runtime.load(Path(bench.block.model_path), bench.options)


def _notes(bench: Bench, count: int, *, takes_turns: bool) -> list[str]:
    notes = [f"{count} sessions of the model in one process; model load and first inference are of the first session"]
    if takes_turns:
        notes.append(
            f"{bench.block.runtime_name} keeps Python's lock while it runs: the {count} streams take turns and do not "
            "overlap"
        )
    return notes
