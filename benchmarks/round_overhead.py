"""What a block takes beyond its timed work, and where that time goes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.bench_models import BenchModel, bench_models
from benchmarks.progress import Say
from benchmarks.results_file import ResultsFile
from benchmarks.table import Table
from steelyard_agent.block_runner import run_block
from steelyard_agent.worker.block import KIND_LATENCY, Block, Timing

NAME = "round_overhead"
WINDOW_MS = 200
SETTINGS = {"window_ms": WINDOW_MS, "threads": 1}
_PARTS = ("process_start", "runtime_import", "model_load", "first_inference", "warmup", "sampling", "rest")


async def measure(round_count: int, say: Say, *, fresh: bool) -> None:
    """Run rounds until ``round_count`` are in the results file."""
    results = ResultsFile(NAME, SETTINGS, fresh=fresh)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        models = bench_models(Path(work))
        for index in range(len(results.rounds()), round_count):
            say(f"{NAME}: round {index + 1} of {round_count}")
            results.append({model.name: await _one(model, Path(work)) for model in models})


async def _one(model: BenchModel, work: Path) -> dict[str, float]:
    block = Block(
        kind=KIND_LATENCY,
        runtime_name="onnxruntime",
        model_path=str(model.path),
        runtime={"intra_op_thread_count": 1},
        timing=Timing(sample_window_ms=WINDOW_MS),
    )
    outcome = await run_block(block, timeout_s=60, memory_limit_bytes=None, work_dir=work)
    result = outcome.result
    if result is None:
        raise RuntimeError(f"the worker failed: {outcome.message}")
    parts = {
        "process_start": result.process_start_ns or 0,
        "runtime_import": result.runtime_import_ns or 0,
        "model_load": result.model_load_ns or 0,
        "first_inference": result.first_inference_ns or 0,
        "warmup": result.warmup_ns or 0,
        "sampling": sum(result.latency_ns) * result.inner_batch_count,
    }
    return {**parts, "rest": outcome.wall_ns - sum(parts.values()), "wall": outcome.wall_ns}


def table() -> Table | None:
    """Return the medians over the rounds that are here."""
    rounds = ResultsFile(NAME, SETTINGS).rounds()
    if not rounds:
        return None
    rows = []
    for name in rounds[0]:
        medians = {part: float(np.median([one[name][part] for one in rounds])) / 1e6 for part in (*_PARTS, "wall")}
        timed = sum(medians[part] for part in ("model_load", "first_inference", "warmup", "sampling"))
        overhead = medians["wall"] - timed
        figures = [f"{medians[part]:.1f}" for part in _PARTS]
        rows.append([name, f"{medians['wall']:.0f}", *figures, f"{overhead:.0f}", f"{medians['wall'] / timed:.2f}"])
    return Table(
        title="What a block takes beyond its timed work",
        command="python -m benchmarks.run round_overhead",
        method=(
            f"Medians in ms over {len(rounds)} launches of a latency block with 0.2 s of samples. Timed work is "
            "model load, first inference, warm-up and sampling; overhead is the rest: starting Python, importing the "
            "runtime, making inputs, reading memory, answering and ending. A round is one such block an artifact."
        ),
        head=["model", "wall", *(part.replace("_", " ") for part in _PARTS), "overhead", "wall over timed"],
        rows=rows,
    )
