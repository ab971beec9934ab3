"""Median latency of the worker beside the native C peer: same library, threads and warm-up, interleaved by launch."""

from __future__ import annotations

import math
import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.bench_models import BenchModel, bench_models
from benchmarks.native_peer import NativePeer, build_peer
from benchmarks.progress import Say
from benchmarks.results_file import ResultsFile
from benchmarks.table import Table, interval_text
from steelyard.stats.percentiles import value_over_rounds
from steelyard.stats.student import MeanInterval, mean_interval
from steelyard_agent.block_runner import run_block
from steelyard_agent.worker.block import KIND_LATENCY, Block, Timing

NAME = "worker_vs_native"
WARMUP_MS, WINDOW_MS = 150, 200
SETTINGS = {"warmup_ms": WARMUP_MS, "window_ms": WINDOW_MS, "threads": 1}
RATIO_TARGET, OVERHEAD_TARGET_US = 0.02, 10.0


async def measure(round_count: int, say: Say, *, fresh: bool) -> None:
    """Run rounds until ``round_count`` are in the results file; the order is reversed every second round."""
    results = ResultsFile(NAME, SETTINGS, fresh=fresh)
    peer = build_peer()
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as work:
        models = bench_models(Path(work))
        for index in range(len(results.rounds()), round_count):
            say(f"{NAME}: round {index + 1} of {round_count}")
            results.append({model.name: await _one(model, peer, Path(work), index) for model in models})


async def _one(model: BenchModel, peer: NativePeer, work: Path, index: int) -> dict[str, float]:
    first = ("worker", "native") if index % 2 == 0 else ("native", "worker")
    medians = {}
    for who in first:
        if who == "worker":
            samples = await _worker(model, work)
        else:
            samples = await peer.samples_ns(
                model.path,
                input_name=model.input_name,
                shape=model.shape,
                output_name=model.output_name,
                warmup_ms=WARMUP_MS,
                window_ms=WINDOW_MS,
            )
        medians[who] = statistics.median(samples)
    return medians


async def _worker(model: BenchModel, work: Path) -> list[int]:
    block = Block(
        kind=KIND_LATENCY,
        runtime_name="onnxruntime",
        model_path=str(model.path),
        runtime={"intra_op_thread_count": 1},
        timing=Timing(sample_window_ms=WINDOW_MS),
    )
    outcome = await run_block(block, timeout_s=60, memory_limit_bytes=None, work_dir=work)
    if outcome.result is None:
        raise RuntimeError(f"the worker failed: {outcome.message}")
    if outcome.result.inner_batch_count != 1:
        raise RuntimeError(f"{model.name} is too short for single samples on this machine; the peer takes no batches")
    return list(outcome.result.latency_ns)


def table() -> Table | None:
    """Return the figures of the rounds that are here."""
    rounds = ResultsFile(NAME, SETTINGS).rounds()
    if not rounds:
        return None
    rows = [_row(name, [one[name] for one in rounds]) for name in rounds[0]]
    return Table(
        title="The worker beside a native C program",
        command="python -m benchmarks.run worker_vs_native",
        method=(
            "Median latency per launch of our worker and of `benchmarks/native/latency_peer.c` over the "
            "`libonnxruntime.so` of the installed wheel; one thread, inputs and output bound once, 0.2 s of samples "
            f"after warm-up, a fresh process each, order reversed every second round, {len(rounds)} rounds. "
            "The ratio is worker over native, paired by round (t on the logs, 95 %)."
        ),
        head=["model", "native p50", "worker p50", "ratio (95 %)", "difference (95 %)", "target", "met"],
        rows=rows,
    )


def _row(name: str, rounds: list[dict[str, float]]) -> list[str]:
    native = value_over_rounds([one["native"] for one in rounds], "ns")
    worker = value_over_rounds([one["worker"] for one in rounds], "ns")
    logs = _interval([math.log(one["worker"] / one["native"]) for one in rounds])
    low, high = math.exp(logs.low), math.exp(logs.high)
    difference = _interval([(one["worker"] - one["native"]) / 1000 for one in rounds])
    big = native.value is not None and native.value >= 1e6
    if big:
        target, met = "ratio within 2 % of 1", low >= 1 - RATIO_TARGET and high <= 1 + RATIO_TARGET
    else:
        target, met = "overhead within 10 us", difference.high <= OVERHEAD_TARGET_US
    return [
        name,
        f"{(native.value or 0) / 1000:.2f} us",
        f"{(worker.value or 0) / 1000:.2f} us",
        f"{math.exp(logs.mean):.4f} ({low:.4f} to {high:.4f})",
        interval_text(difference.mean, difference.low, difference.high, "us"),
        target,
        "yes" if met else "NO",
    ]


def _interval(values: list[float]) -> MeanInterval:
    return mean_interval(np.array(values), 0.95)
