"""The operators block: the runtime's own profiler over some inferences. Nothing that it times is a latency."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.opening import Bench, explained, make_feeds, refuse_missing_file
from steelyard_agent.worker.profiled import NoProfileError, ProfiledModel, load_profiled
from steelyard_agent.worker.stopwatch import Call

# Before them caches are cold and memory is not allocated yet.
_WARM_CALL_COUNT = 3
_LEAST_CALL_COUNT = 5
# A profile holds every operator of every inference: a model of 500 takes 18 MB in ONNX Runtime's file at this many.
_MOST_CALL_COUNT = 50


def run_operators(bench: Bench) -> WorkerResult:
    """Profile inferences for the block's window.

    Raises:
        BlockFailure: the model cannot be loaded, fed or run.
    """
    path = Path(bench.block.model_path)
    refuse_missing_file(path)
    try:
        model = load_profiled(bench.runtime, path, bench.options)
        bench.reached("loaded")
        return _profile(bench, model)
    except NoProfileError as error:
        return replace(bench.result, operators_reason=str(error))


def _profile(bench: Bench, model: ProfiledModel) -> WorkerResult:
    bench.result = replace(
        bench.result,
        providers=tuple(model.providers),
        placements=dict(model.placements),
        notes=(*bench.result.notes, *model.notes),
    )
    call = model.bind(make_feeds(bench, model))
    with explained(model):
        for _ in range(_WARM_CALL_COUNT):
            call()
        model.begin(_WARM_CALL_COUNT)
        bench.say("profiling")
        count, took_ns = _run(call, bench.block.profile_window_ms * 1_000_000)
    operators = model.operators(count)
    bench.say("profiled")
    return replace(bench.result, operators=operators, profiled_count=count, profiled_ns=took_ns)


def _run(call: Call, window_ns: int) -> tuple[int, int]:
    begun_ns = time.perf_counter_ns()
    for count in range(1, _MOST_CALL_COUNT + 1):
        call()
        took_ns = time.perf_counter_ns() - begun_ns
        if took_ns >= window_ns and count >= _LEAST_CALL_COUNT:
            break
    return count, took_ns
