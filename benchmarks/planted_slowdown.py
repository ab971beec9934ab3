"""A model against the same one with a layer repeated: whether a slowdown of a known size is found."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench_models import BenchModel, stacked_convolutions
from benchmarks.figures import Figure, geometric_mean
from benchmarks.native_peer import build_peer
from benchmarks.neighbour import SHARE, busy_neighbour
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from benchmarks.whole_path import NOT_VALID, compare, own_controller

NAME = "planted_slowdown"
BUDGET_S = 60.0
WINDOW_MS = 200
SETTINGS = {"budget_s": BUDGET_S, "native_window_ms": WINDOW_MS, "neighbour_share": SHARE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One planted slowdown: how many layers the two models have, what disturbs, how often it is tried."""

    name: str
    depth: int
    more_layers: int
    neighbour: bool
    try_count: int
    # Every result but these is a miss.
    accepted: frozenset[str]
    least_share: float


PLANTED = (
    Planted(
        name="one layer in 24",
        depth=24,
        more_layers=1,
        neighbour=False,
        try_count=40,
        accepted=frozenset({"SLOWER"}),
        least_share=0.95,
    ),
    Planted(
        name="two layers in 20, beside a neighbour",
        depth=20,
        more_layers=2,
        neighbour=True,
        try_count=40,
        accepted=frozenset({"SLOWER", NOT_VALID, "UNDECIDED"}),
        least_share=1.0,
    ),
)
NATIVE_ROUND_COUNT = 60
# A round of the results file is one try of each; the native rounds come first.
ROUND_COUNT = max(one.try_count for one in PLANTED)


async def measure(round_count: int) -> None:
    """Measure the true ratio with the native peer, then try until ``round_count`` tries are in the results file."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        await _measure_truth(results, key, Path(folder))
        tries = [one for one in results.rounds(key) if one["kind"] == "try"]
        await asyncio.to_thread(_try, results, key, Path(folder), range(len(tries), round_count))


async def _measure_truth(results: ResultsFile, key: dict[str, Any], folder: Path) -> None:
    done = len([one for one in results.rounds(key) if one["kind"] == "native"])
    peer = build_peer(folder)
    pairs = {planted.name: _pair(planted, folder) for planted in PLANTED}
    for index in counted(f"{NAME}, native", done, NATIVE_ROUND_COUNT):
        medians = {}
        for name, pair in pairs.items():
            both = {}
            for which in (0, 1) if index % 2 == 0 else (1, 0):
                both[which] = statistics.median(await peer.samples_ns(pair[which], WINDOW_MS))
            medians[name] = [both[0], both[1]]
        results.append(key, {"kind": "native", "medians_ns": medians})


def _try(results: ResultsFile, key: dict[str, Any], folder: Path, indices: range) -> None:
    with own_controller() as client:
        artifacts = {
            planted.name: [client.add_model(model.path, name=model.name) for model in _pair(planted, folder)]
            for planted in PLANTED
        }
        for index in counted(NAME, indices.start, indices.stop):
            outcomes = {}
            for planted in PLANTED:
                if index < planted.try_count:
                    with busy_neighbour(present=planted.neighbour):
                        outcomes[planted.name] = compare(client, artifacts[planted.name], budget_s=BUDGET_S)
            results.append(key, {"kind": "try", "outcomes": outcomes})


def _pair(planted: Planted, folder: Path) -> tuple[BenchModel, BenchModel]:
    return (
        stacked_convolutions(folder, depth=planted.depth),
        stacked_convolutions(folder, depth=planted.depth + planted.more_layers),
    )


def table() -> Table | None:
    """Return the figures of the latest tries."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    truths = {one.name: _truth(run.rounds, one.name) for one in PLANTED}
    outcomes = {one.name: _outcomes(run.rounds, one.name) for one in PLANTED}
    return Table(
        title="A planted slowdown",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            "A stack of convolutions against the same stack with layers repeated. How much longer it truly takes is "
            f"measured by the native C program, {NATIVE_ROUND_COUNT} interleaved rounds of fresh processes, 95 % "
            f"interval over rounds. Each try is a `steelyard compare` with default settings and {BUDGET_S:g} s of "
            f"device time at most. The neighbour keeps {SHARE:.0%} of one core busy."
        ),
        run=run,
        head=["planted", "true ratio (95 %)", "tries", "found", "undecided", "not valid", "no difference", "time"],
        rows=[_row(one.name, truths[one.name], outcomes[one.name]) for one in PLANTED],
        verdicts=[verdict(one, outcomes[one.name]) for one in PLANTED],
    )


def verdict(planted: Planted, outcomes: Sequence[dict[str, Any]]) -> str:
    """Return one sentence: whether it was found often enough."""
    good = sum(one["verdict"] in planted.accepted for one in outcomes)
    wanted = " or ".join(sorted(planted.accepted))
    target = f"{wanted} in at least {planted.least_share:.0%} of the tries"
    if len(outcomes) < planted.try_count:
        return f"{planted.name}: undecided, {len(outcomes)} of {planted.try_count} tries. Target: {target}."
    stands = "met" if good >= planted.least_share * len(outcomes) else "missed"
    return f"{planted.name}: {stands}. Target: {target}; {good} of {len(outcomes)} were."


def _truth(rounds: Sequence[dict[str, Any]], name: str) -> Figure | None:
    pairs = [one["medians_ns"][name] for one in rounds if one["kind"] == "native"]
    return geometric_mean([more / less for less, more in pairs]) if pairs else None


def _outcomes(rounds: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [one["outcomes"][name] for one in rounds if one["kind"] == "try" and name in one["outcomes"]]


def _row(name: str, truth: Figure | None, outcomes: Sequence[dict[str, Any]]) -> list[str]:
    counts = Counter(one["verdict"] for one in outcomes)
    seconds = sorted(one["seconds"] for one in outcomes if "seconds" in one)
    middle = f"{seconds[len(seconds) // 2]:.1f} s" if seconds else "none"
    verdicts = [str(counts[verdict]) for verdict in ("SLOWER", "UNDECIDED", NOT_VALID, "NO_DIFFERENCE")]
    return [name, truth.text(4) if truth is not None else "none", str(len(outcomes)), *verdicts, middle]
