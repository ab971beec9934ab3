"""One latency block of our worker, launched as a measurement launches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.bench_models import BenchModel
from steelyard_agent.block_runner import BlockOutcome, run_block
from steelyard_agent.worker.block import KIND_LATENCY, Block, Timing, WorkerResult

# The native peer sets the same by name: no default of either binding decides.
RUNTIME = {"intra_op_thread_count": 1, "graph_optimization": "all", "arena": True, "spinning": True}


class BlockError(Exception):
    """The worker could not run a model of ours."""


async def run_latency_block(
    model: BenchModel, *, window_ms: int, work_dir: Path, on_phase: Callable[[str], None] | None = None
) -> tuple[BlockOutcome, WorkerResult]:
    """Run one block in one fresh process.

    Raises:
        BlockError: the block failed.
    """
    block = Block(
        kind=KIND_LATENCY,
        runtime_name="onnxruntime",
        model_path=str(model.path),
        runtime=dict(RUNTIME),
        timing=Timing(sample_window_ms=window_ms),
    )
    outcome = await run_block(block, timeout_s=60, memory_limit_bytes=None, work_dir=work_dir, on_phase=on_phase)
    if outcome.result is None:
        raise BlockError(f"the worker could not run {model.name}: {outcome.message}")
    return outcome, outcome.result
