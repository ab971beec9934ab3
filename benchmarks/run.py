"""Runs benchmarks one after the other and writes docs/benchmarks.md. Interrupted, the same command goes on.

Examples:
  python -m benchmarks.run                                 all of them, then docs/benchmarks.md
  python -m benchmarks.run worker_vs_native --rounds 80    until there are 80 rounds
  python -m benchmarks.run idle_agent --fresh              forget this machine's rounds, start again
  python -m benchmarks.run --write-docs                    measure nothing, write the page from the rounds there are
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import (
    aa_comparisons,
    benchmark_tools,
    idle_agent,
    interval_coverage,
    peak_memory,
    planted_slowdown,
    replay_aa,
    round_overhead,
    same_accuracy,
    sampler_aliasing,
    sampler_cost,
    sparse_encoding,
    transfer,
    worker_vs_native,
)
from benchmarks.compression import advice, calibration_memory, kernel_costs, repair, static_int8
from benchmarks.idle_agent import IdleError
from benchmarks.latency_block import BlockError
from benchmarks.many_nights import nights_cost
from benchmarks.native_peer import PeerError
from benchmarks.nightly import real_nights, simulated_fleet
from benchmarks.nightly.series_peers import SeriesPeerError
from benchmarks.results_file import ResultsFile, this_machine
from benchmarks.scale import growth
from benchmarks.scale.line_process import LineProcessError
from benchmarks.table import Table
from benchmarks.training import distillation, half_minilm, hybrid, latency_target, lifter, qat, structured_pruning

_MODULES = (
    worker_vs_native,
    benchmark_tools,
    peak_memory,
    aa_comparisons,
    planted_slowdown,
    replay_aa,
    interval_coverage,
    round_overhead,
    same_accuracy,
    idle_agent,
    growth,
    transfer,
    sampler_cost,
    sampler_aliasing,
    sparse_encoding,
    static_int8,
    repair,
    calibration_memory,
    kernel_costs,
    advice,
    simulated_fleet,
    real_nights,
    nights_cost,
    lifter,
    qat,
    structured_pruning,
    distillation,
    half_minilm,
    hybrid,
    latency_target,
)
_BENCHMARKS = {module.NAME: module for module in _MODULES}
_DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_INTRODUCTION = (
    "Ratios of one run on one machine, side by side with a peer; absolute figures differ elsewhere. `make bench` runs "
    "all of them in about three hours and writes this page; every round is kept in `benchmarks/results/`, so that "
    "an interrupted run goes on where it stopped."
)
_INTERRUPTED, _DEVICE_OR_INFRASTRUCTURE = 130, 4


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the tables, write the page; 4 when a benchmark cannot run here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_BENCHMARKS))
    parser.add_argument("--rounds", type=int, help="rounds that there should be in the end (default: each its own)")
    parser.add_argument("--fresh", action="store_true", help="forget this machine's rounds of these benchmarks first")
    parser.add_argument("--idle-window", type=float, default=idle_agent.WINDOW_S, help="seconds (default: %(default)g)")
    parser.add_argument(
        "--phase",
        choices=("all", "find", "train", "time"),
        default="all",
        help="of benchmarks that train: timing needs the machine to itself, training does not (default: %(default)s)",
    )
    parser.add_argument("--write-docs", action="store_true", help="only write docs/benchmarks.md")
    options = parser.parse_args(words)
    if unknown := sorted(set(options.names) - set(_BENCHMARKS)):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(_BENCHMARKS)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: one is the least")
    # As in our own processes: a peer that reports to Microsoft meanwhile (ONNX Runtime from 1.29 on) is no peer.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    names = [] if options.write_docs else options.names or list(_BENCHMARKS)
    failures = [name for name in names if not _run(name, options)]
    _DOCUMENT.write_text(page([table for each in _BENCHMARKS.values() if (table := each.table()) is not None]))
    print(f"wrote {_DOCUMENT}")
    return _DEVICE_OR_INFRASTRUCTURE if failures else 0


def _run(name: str, options: argparse.Namespace) -> bool:
    """Measure and print; false when it cannot be measured here, after a sentence that says why."""
    benchmark = _BENCHMARKS[name]
    if options.fresh:
        for file in getattr(_BENCHMARKS[name], "FILES", (name,)):
            ResultsFile(file).forget(this_machine())
    try:
        asyncio.run(_measure(benchmark, options))
    except (PeerError, BlockError, IdleError, LineProcessError, SeriesPeerError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return False
    table = benchmark.table()
    print(table.plain() if table is not None else f"{name}: no rounds")
    return True


async def _measure(benchmark: ModuleType, options: argparse.Namespace) -> None:
    extra: dict[str, Any] = {"window_s": options.idle_window} if benchmark is idle_agent else {}
    if hasattr(benchmark, "PHASES"):
        extra = {"phases": benchmark.PHASES if options.phase == "all" else (options.phase,)}
    await benchmark.measure(options.rounds or benchmark.ROUND_COUNT, **extra)


def page(tables: Sequence[Table]) -> str:
    """Return docs/benchmarks.md."""
    return "\n".join(["# Benchmarks", "", _INTRODUCTION, "", *(table.markdown() for table in tables)])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
