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
        took_ns = _run(call, bench.block.profile_window_ms * 1_000_000)
    summed = model.operators(len(took_ns))
    bench.say("profiled")
    # Those that took least, as the operators are of those whose operators took least.
    wall_ns = sum(sorted(took_ns)[: summed.inference_count])
    return replace(bench.result, operators=summed.operators, profiled_count=summed.inference_count, profiled_ns=wall_ns)


def _run(call: Call, window_ns: int) -> list[int]:
    """Return how long each inference took, the profiler's own work in it."""
    took_ns: list[int] = []
    while len(took_ns) < _MOST_CALL_COUNT and (sum(took_ns) < window_ns or len(took_ns) < _LEAST_CALL_COUNT):
        begun_ns = time.perf_counter_ns()
        call()
        took_ns.append(time.perf_counter_ns() - begun_ns)
    return took_ns
