"""Runs benchmarks one after the other and writes docs/benchmarks.md. Interrupted, the same command goes on.

Examples:
  python -m benchmarks.run                            all of them, then docs/benchmarks.md
  python -m benchmarks.run worker_vs_native --rounds 80
  python -m benchmarks.run --fresh
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
from pathlib import Path

from benchmarks import idle_agent, round_overhead, same_accuracy, worker_vs_native
from benchmarks.progress import done, say
from benchmarks.results_file import machine, versions

_BENCHMARKS = {module.NAME: module for module in (worker_vs_native, round_overhead, same_accuracy, idle_agent)}
_DEFAULT_ROUNDS = {"worker_vs_native": 60, "round_overhead": 20, "same_accuracy": 1, "idle_agent": 5}
_INTRODUCTION = (
    "Ratios of one run on one machine, side by side with a peer; absolute figures differ elsewhere. `make bench` runs "
    "all of them and writes this page; raw rounds are in `benchmarks/results/`."
)
_DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Run what was asked for, print the tables, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_BENCHMARKS))
    parser.add_argument("--rounds", type=int, help="rounds that there should be in the end (default: each its own)")
    parser.add_argument("--fresh", action="store_true", help="forget the rounds that are there")
    options = parser.parse_args()
    unknown = set(options.names) - set(_BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(_BENCHMARKS)}")
    for name in options.names or _BENCHMARKS:
        rounds = _DEFAULT_ROUNDS[name] if options.rounds is None else options.rounds
        asyncio.run(_BENCHMARKS[name].measure(rounds, say, fresh=options.fresh))
        done()
        table = _BENCHMARKS[name].table()
        print(table.plain() if table is not None else f"{name}: no rounds")
    _write_document()


def _write_document() -> None:
    tables = [table for module in _BENCHMARKS.values() if (table := module.table()) is not None]
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    lines = [
        "# Benchmarks",
        "",
        _INTRODUCTION,
        "",
        f"Machine: {machine()}. Versions: {used}. Written {dt.datetime.now(tz=dt.timezone.utc):%Y-%m-%d}.",
        "",
        *(table.markdown() for table in tables),
    ]
    _DOCUMENT.write_text("\n".join(lines))
    print(f"wrote {_DOCUMENT}")


if __name__ == "__main__":
    main()
