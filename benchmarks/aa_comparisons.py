"""A model against itself, through the whole tool: how often a difference is seen that is not there."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench_models import BenchModel, bench_models, shipped_model
from benchmarks.neighbour import SHARE, busy_neighbour
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from benchmarks.whole_path import compare, own_controller

NAME = "aa_comparisons"
ROUND_COUNT = 200
BUDGET_S = 15.0
SETTINGS = {"budget_s": BUDGET_S, "neighbour_share": SHARE}
MOST_FALSE_COUNT = 2
LEAST_SETTLED_SHARE = 0.8
FALSE = frozenset({"FASTER", "SLOWER"})


async def measure(round_count: int) -> None:
    """Compare until ``round_count`` comparisons are in the results file."""
    await asyncio.to_thread(_measure, round_count)


def _measure(round_count: int) -> None:
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder, own_controller() as client:
        artifacts = [client.add_model(model.path, name=model.name.replace(" ", "_")) for model in models(Path(folder))]
        for index in counted(NAME, len(results.rounds(key)), round_count):
            which, is_busy = turn(index, len(artifacts))
            with busy_neighbour(present=is_busy):
                one = compare(client, [artifacts[which]] * 2, budget_s=BUDGET_S)
            results.append(key, {"model": artifacts[which].name, "neighbour": is_busy, **one})


def models(folder: Path) -> list[BenchModel]:
    """Return the three models that are compared with themselves: 0.2 ms to 2 ms on a server's core."""
    return [*(one for one in bench_models(folder) if one.name != "tiny MLP"), shipped_model("fashion_mobilenet")]


def turn(index: int, model_count: int) -> tuple[int, bool]:
    """Return which model a comparison takes, and whether the neighbour is there: both change as often as they can."""
    return index % model_count, bool(index // model_count % 2)


def table() -> Table | None:
    """Return the figures of the latest comparisons."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    groups = [(name, busy) for busy in (False, True) for name in dict.fromkeys(one["model"] for one in run.rounds)]
    idle = [one for one in run.rounds if not one["neighbour"]]
    return Table(
        title="A model against itself",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"`steelyard compare` of a model with itself on the device `local`, default settings, {BUDGET_S:g} s of "
            "device time at most, through the controller, gRPC, the agent, the stop rule and the verdict at 99 %. Half "
            f"of the comparisons on an idle machine, half beside a process that keeps {SHARE:.0%} of one core busy in "
            "turns of 3 ms. FASTER and SLOWER are false; NO_DIFFERENCE means none as large as 3 %."
        ),
        run=run,
        head=["model", "machine", "comparisons", "false", "no difference", "undecided", "not valid", "device time"],
        rows=[
            _row(name, busy, [one for one in run.rounds if (one["model"], one["neighbour"]) == (name, busy)])
            for name, busy in groups
        ],
        verdicts=[false_verdict(run.rounds), settled_verdict(idle)],
    )


def false_verdict(rounds: Sequence[dict[str, Any]]) -> str:
    """Return one sentence: how many verdicts were false."""
    count = sum(one["verdict"] in FALSE for one in rounds)
    if len(rounds) < ROUND_COUNT:
        return f"undecided, {len(rounds)} of {ROUND_COUNT} comparisons; {count} false verdicts so far."
    stands = "met" if count <= MOST_FALSE_COUNT else "missed"
    return f"{stands}. Target: at most {MOST_FALSE_COUNT} false verdicts in {len(rounds)}; there were {count}."


def settled_verdict(idle: Sequence[dict[str, Any]]) -> str:
    """Return one sentence: how many of the idle comparisons ended in "no difference"."""
    count = sum(one["verdict"] == "NO_DIFFERENCE" for one in idle)
    stands = "met" if count >= LEAST_SETTLED_SHARE * len(idle) else "missed"
    stands = stands if len(idle) >= ROUND_COUNT // 2 else "undecided, too few comparisons"
    return (
        f"{stands}. Target: at least {LEAST_SETTLED_SHARE:.0%} of the idle comparisons end in no difference as small "
        f"as 3 %; {count} of {len(idle)} did."
    )


def _row(name: str, busy: bool, rounds: Sequence[dict[str, Any]]) -> list[str]:
    counts = Counter(one["verdict"] for one in rounds)
    seconds = sorted(one["seconds"] for one in rounds if "seconds" in one)
    middle = f"{seconds[len(seconds) // 2]:.1f} s" if seconds else "none"
    false = str(sum(counts[verdict] for verdict in FALSE))
    others = [str(counts[verdict]) for verdict in ("NO_DIFFERENCE", "UNDECIDED", "NOT_VALID")]
    return [name, "neighbour" if busy else "idle", str(len(rounds)), false, *others, middle]
