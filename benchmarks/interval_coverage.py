"""Many short sessions and the long run that they are together: how often an interval holds the long run's figure."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.aa_comparisons import models
from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from benchmarks.whole_path import own_controller
from steelyard.control.client import Client
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.plans import MeasurementOptions
from steelyard_protocol.v1 import control_pb2, measurement_pb2

NAME = "interval_coverage"
ROUND_COUNT = 100
BUDGET_S = 15.0
# "history": intervals know how much the sessions before them differed; the first 100 sessions were run without.
SETTINGS = {"budget_s": BUDGET_S, "history": True}
LEAST_SHARE, MOST_SHARE = 0.90, 0.99
_FIGURES = ("p50", "p90")


async def measure(round_count: int) -> None:
    """Run sessions until ``round_count`` are in the results file."""
    await asyncio.to_thread(_measure, round_count)


def _measure(round_count: int) -> None:
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder, own_controller() as client:
        artifacts = [client.add_model(model.path, name=model.name.replace(" ", "_")) for model in models(Path(folder))]
        for _ in counted(NAME, len(results.rounds(key)), round_count):
            results.append(key, {one.name: _session(client, one) for one in artifacts})


def _session(client: Client, artifact: control_pb2.Artifact) -> dict[str, Any]:
    job = client.measure([artifact], options=MeasurementOptions(budget_s=BUDGET_S, energy=EnergyOptions(round_count=0)))
    job.wait()
    variant = job.measurement().variants[0]
    rounds = [[one.p50_ns, one.p90_ns] for one in variant.rounds]
    estimates = {"p50": _ends(variant.p50_latency), "p90": _ends(variant.p90_latency)}
    return {"rounds_ns": rounds, **estimates}


def _ends(estimate: measurement_pb2.Estimate) -> list[float]:
    return [estimate.low, estimate.high]


def table() -> Table | None:
    """Return the figures of the latest sessions."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    names = list(run.rounds[0])
    shares = {
        (name, figure): coverage([one[name] for one in run.rounds], figure) for name in names for figure in _FIGURES
    }
    return Table(
        title="How often an interval holds the figure",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"Sessions of `steelyard measure` with default settings, {BUDGET_S:g} s of device time at most, one after "
            "the other. The grand figure is the geometric mean of the percentile over all rounds of all sessions: the "
            "long run that they are together. Intervals know how much the sessions before them differed, none at first "
            "(docs/decisions/0019-sessions-differ.md). Counted is how many of the sessions' 95 % intervals hold it."
        ),
        run=run,
        head=["model", "figure", "grand figure", "sessions", "intervals that hold it", "median half-width"],
        rows=[_row(name, figure, [one[name] for one in run.rounds], shares[name, figure]) for name, figure in shares],
        verdicts=[verdict(f"{name}, {figure}", share, len(run.rounds)) for (name, figure), share in shares.items()],
    )


def grand_figure_ns(sessions: Sequence[dict[str, Any]], figure: str) -> float:
    """Return the geometric mean over every round of every session."""
    logs = [math.log(one[_FIGURES.index(figure)]) for session in sessions for one in session["rounds_ns"]]
    return math.exp(sum(logs) / len(logs))


def coverage(sessions: Sequence[dict[str, Any]], figure: str) -> float:
    """Return the share of the sessions whose interval holds the grand figure."""
    grand = grand_figure_ns(sessions, figure)
    return sum(session[figure][0] <= grand <= session[figure][1] for session in sessions) / len(sessions)


def verdict(name: str, share: float, session_count: int) -> str:
    """Return one sentence: whether the share is that of 95 % intervals."""
    target = f"{LEAST_SHARE:.0%} to {MOST_SHARE:.0%} of the intervals hold the grand figure"
    if session_count < ROUND_COUNT:
        return f"{name}: undecided, {session_count} of {ROUND_COUNT} sessions. Target: {target}."
    stands = "met" if LEAST_SHARE <= share <= MOST_SHARE else "missed"
    return f"{name}: {stands}. Target: {target}; {share:.0%} did."


def _row(name: str, figure: str, sessions: Sequence[dict[str, Any]], share: float) -> list[str]:
    grand = grand_figure_ns(sessions, figure)
    widths = sorted((session[figure][1] - session[figure][0]) / 2 / grand for session in sessions)
    middle = f"+-{widths[len(widths) // 2]:.2%}"
    return [name, figure, f"{grand / 1000:.2f} us", str(len(sessions)), f"{share:.0%}", middle]
