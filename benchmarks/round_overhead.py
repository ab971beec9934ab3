"""What a block takes beyond its timed work, and where that time goes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bench_models import BenchModel, bench_models
from benchmarks.figures import mean
from benchmarks.latency_block import RUNTIME, run_latency_block
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table

NAME = "round_overhead"
ROUND_COUNT = 20
WINDOW_MS = 200
SETTINGS = {"window_ms": WINDOW_MS, **RUNTIME}
_TIMED = ("model_load", "first_inference", "warmup", "sampling")
_PARTS = ("process_start", "runtime_import", *_TIMED, "answer_and_end", "between")


async def measure(round_count: int) -> None:
    """Run rounds until ``round_count`` are in the results file."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        models = bench_models(Path(folder))
        for _ in counted(NAME, len(results.rounds(key)), round_count):
            results.append(key, {model.name: await _block(model, Path(folder)) for model in models})


async def _block(model: BenchModel, work: Path) -> dict[str, int]:
    """Return nanoseconds by part; "between" is what no other part holds."""
    heard_ns: dict[str, int] = {}

    def on_phase(phase: str) -> None:
        heard_ns[phase] = time.perf_counter_ns()

    outcome, result = await run_latency_block(model, window_ms=WINDOW_MS, work_dir=work, on_phase=on_phase)
    end_ns = time.perf_counter_ns()
    parts = {
        "process_start": result.process_start_ns or 0,
        "runtime_import": result.runtime_import_ns or 0,
        "model_load": result.model_load_ns or 0,
        "first_inference": result.first_inference_ns or 0,
        "warmup": result.warmup_ns or 0,
        "sampling": sum(result.latency_ns) * result.inner_batch_count,
        "answer_and_end": end_ns - heard_ns["steady"],
    }
    return {**parts, "between": outcome.wall_ns - sum(parts.values()), "wall": outcome.wall_ns}


def overhead_ms(block: dict[str, int]) -> float:
    """Return the milliseconds of a block's wall time that are not timed work."""
    return (block["wall"] - sum(block[part] for part in _TIMED)) / 1e6


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    per_round = [sum(overhead_ms(block) for block in one.values()) / len(one) for one in run.rounds]
    share = [sum(block["wall"] for block in one.values()) / 1e6 for one in run.rounds]
    return Table(
        title="What a block takes beyond its timed work",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Means in milliseconds over launches of a latency block with 0.2 s of samples. Timed work is model load, "
            "first inference, warm-up and sampling. The overhead is the rest of the block's wall time as its "
            "supervisor sees it: starting Python, importing numpy and the runtime, sending the answer and ending, and "
            "what lies between (making inputs, reading memory, freezing the collector, the clock reads between "
            "samples). A round is one such block for each model."
        ),
        run=run,
        head=["model", "wall", *(part.replace("_", " ") for part in _PARTS), "overhead (95 %)"],
        rows=[_row(name, [one[name] for one in run.rounds]) for name in run.rounds[0]],
        verdicts=[
            (
                f"A block costs {mean(per_round).text(0, 'ms')} beyond its timed work, "
                f"{sum(per_round) * len(run.rounds[0]) / sum(share):.0%} of its wall time. No target is set."
            )
        ],
    )


def _row(name: str, blocks: list[dict[str, Any]]) -> list[str]:
    figures = [f"{mean([block[part] / 1e6 for block in blocks]).value:.1f}" for part in ("wall", *_PARTS)]
    return [name, *figures, mean([overhead_ms(block) for block in blocks]).text(0)]
