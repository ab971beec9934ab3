"""The worker's own peak memory beside what a second program sees of it from outside."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bench_models import BenchModel, heavy_models
from benchmarks.figures import agreement_text, geometric_mean
from benchmarks.latency_block import RUNTIME, BlockError, run_latency_block
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table

NAME = "peak_memory"
ROUND_COUNT = 20
WINDOW_MS = 50
SETTINGS = {"window_ms": WINDOW_MS, "news_ns": 400_000, **RUNTIME}
TARGET = 0.02
_POLLER = Path(__file__).with_name("memory_poller.py")
# A line through a pipe between two Python processes took 0.03 ms in the median here, 0.13 ms in one of twenty.
_NEWS_NS = 400_000


class Seen(NamedTuple):
    """One look of the poller: CLOCK_MONOTONIC, VmHWM, VmRSS."""

    time_ns: int
    high_kib: int
    resident_kib: int


async def measure(round_count: int) -> None:
    """Run rounds until ``round_count`` are in the results file."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        models = heavy_models(Path(folder))
        for _ in counted(NAME, len(results.rounds(key)), round_count):
            results.append(key, {model.name: await _both(model, Path(folder)) for model in models})


async def _both(model: BenchModel, folder: Path) -> dict[str, int]:
    """Return the peak over the baseline in bytes: as the worker says, and as the poller saw."""
    poller = await asyncio.create_subprocess_exec(
        sys.executable, str(_POLLER), str(os.getpid()), stdout=asyncio.subprocess.PIPE
    )
    imported_ns: list[int] = []

    def note(phase: str) -> None:
        if phase == "imported":
            imported_ns.append(time.monotonic_ns())

    _, result = await run_latency_block(model, window_ms=WINDOW_MS, work_dir=folder, on_phase=note)
    out, _ = await poller.communicate()
    if result.peak_resident_bytes is None or not imported_ns:
        raise BlockError(f"no peak of {model.name}: {result.peak_source}")
    seen = [Seen(*map(int, line.split())) for line in out.split(b"\n") if line]
    return {
        "worker": result.peak_resident_bytes - result.memory_phases["imported"]["resident_bytes"],
        "outside": outside_bytes(seen, imported_ns[0]),
    }


def outside_bytes(seen: Sequence[Seen], imported_ns: int) -> int:
    """Return the highest mark less what was resident when the runtime was imported, from outside alone.

    The news that it was imported comes a moment after the fact, and the worker goes on: the last look before that
    moment counts.

    Raises:
        BlockError: nothing was seen before that.
    """
    before = [one for one in seen if one.time_ns <= imported_ns - _NEWS_NS]
    if not before:
        raise BlockError("the poller came too late: nothing was seen before the runtime was imported")
    return (max(one.high_kib for one in seen) - before[-1].resident_kib) * 1024


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    names = list(run.rounds[0])
    return Table(
        title="Peak memory, seen from inside and from outside",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "Peak resident set over the imported runtime, as the worker reads it from its own VmHWM, beside "
            "`benchmarks/memory_poller.py`, a second program that reads the worker's VmHWM about a thousand times a "
            "second. Models of dense layers whose weights take 24, 64 and 128 MiB. Worker over outside, 95 % intervals "
            "over rounds on the logs."
        ),
        run=run,
        head=["weights", "worker", "outside", "ratio (95 %)"],
        rows=[_row(name, [one[name] for one in run.rounds]) for name in names],
        verdicts=[verdict(name, [one[name] for one in run.rounds]) for name in names],
    )


def verdict(name: str, rounds: list[dict[str, Any]]) -> str:
    """Return one sentence: whether both agree within the target."""
    return agreement_text(name, geometric_mean([one["worker"] / one["outside"] for one in rounds]), TARGET)


def _row(name: str, rounds: list[dict[str, Any]]) -> list[str]:
    sizes = [f"{geometric_mean([one[who] / 2**20 for one in rounds]).value:.1f} MiB" for who in ("worker", "outside")]
    return [name, *sizes, geometric_mean([one["worker"] / one["outside"] for one in rounds]).text(4)]
