"""What each kind of block does, by its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from steelyard_agent.worker import block as kinds
from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.evaluation import run_evaluation
from steelyard_agent.worker.idle import run_idle
from steelyard_agent.worker.numeric import run_numeric
from steelyard_agent.worker.opening import Bench, explained, make_feeds, open_model
from steelyard_agent.worker.profiling import run_operators
from steelyard_agent.worker.timed import run_energy, run_latency


def run_block(bench: Bench) -> WorkerResult:
    """Run the block that the bench was opened for.

    Raises:
        BlockFailure: how the block ended instead.
    """
    return _RUNNERS[bench.block.kind](bench)


def _probe(bench: Bench) -> WorkerResult:
    probes = bench.runtime.probe()
    return replace(
        bench.result,
        provider_probes=tuple({"name": probe.name, "reason": probe.reason} for probe in probes),
        compiling_providers=tuple(probe.name for probe in probes if probe.compiles and not probe.reason),
    )


def _prepare(bench: Bench) -> WorkerResult:
    """Load and run once: some providers compile at load, others (TensorRT with dynamic shapes) at the first run."""
    begun_ns = time.perf_counter_ns()
    model = open_model(bench)
    call = model.bind(make_feeds(bench, model))
    with explained(model):
        call()
    took_ns = time.perf_counter_ns() - begun_ns
    bench.reached("prepared")
    return replace(bench.result, build_ns=None if bench.result.prepared_cache_hit else took_ns)


def _signature(bench: Bench) -> WorkerResult:
    open_model(bench)
    return bench.result


_RUNNERS: dict[str, Callable[[Bench], WorkerResult]] = {
    kinds.KIND_LATENCY: run_latency,
    kinds.KIND_EVALUATION: run_evaluation,
    kinds.KIND_ENERGY: run_energy,
    kinds.KIND_IDLE: run_idle,
    kinds.KIND_PREPARATION: _prepare,
    kinds.KIND_PROBE: _probe,
    kinds.KIND_SIGNATURE: _signature,
    kinds.KIND_OPERATORS: run_operators,
    kinds.KIND_NUMERIC: run_numeric,
}
