"""Many comparisons by replay: how often the stop rule and the verdict err, and how often they find what is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.launch_noise import RUN_LENGTH, TAIL_DEGREES, Noise, recorded_noise, simulated_noise
from benchmarks.progress import counted
from benchmarks.replayed_session import ROUND_S, Ending, replay
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table

NAME = "replay_aa"
# The benchmark whose rounds are replayed.
RECORDED = "worker_vs_native"
ROUND_COUNT = 100
# A/A comparisons a round, by noise and budget: six sources and two budgets make 204, and 20,400 in a hundred rounds.
AA_COUNT, PLANTED_COUNT = 17, 10
SHORT_S, LONG_S = 15.0, 60.0
PLANTED = (1.03, 1.04, 1.05)
LEAST_AA_COUNT = 20_000
MOST_FALSE_SHARE, LEAST_SETTLED_SHARE, LEAST_FOUND_SHARE = 0.005, 0.8, 0.95
# The targets are about noise as on a quiet machine; louder sources are shown beside it.
QUIET = ("conv net, recorded", "fashion_resnet, recorded", "sd 1 %, simulated", "sd 1.5 %, simulated")
_FALSE = ("FASTER", "SLOWER")


async def measure(round_count: int) -> None:
    """Replay until ``round_count`` rounds are in the results file; each round has a seed of its own."""
    sources = [*recorded_noise(_recorded()), *simulated_noise()]
    results, key = ResultsFile(NAME), this_key(_settings())
    for index in counted(NAME, len(results.rounds(key)), round_count):
        random = np.random.default_rng(1000 + index)
        results.append(key, {noise.name: _one(noise, random) for noise in sources})


def _recorded() -> Sequence[dict[str, Any]]:
    run = ResultsFile(RECORDED).latest()
    return run.rounds if run is not None else ()


def _settings() -> dict[str, Any]:
    """Return what results must share; other recorded rounds are other noise."""
    rounds = _recorded()
    digest = hashlib.sha256(json.dumps(list(rounds), sort_keys=True).encode()).hexdigest()[:12]
    return {"budgets_s": [SHORT_S, LONG_S], "planted": list(PLANTED), "recorded": len(rounds), "digest": digest}


def _one(noise: Noise, random: np.random.Generator) -> dict[str, dict[str, int]]:
    """Return how often each verdict came, and the rounds in all, by budget and planted ratio."""
    cells = [(SHORT_S, 1.0, AA_COUNT), (LONG_S, 1.0, AA_COUNT), *((LONG_S, ratio, PLANTED_COUNT) for ratio in PLANTED)]
    return {
        cell(budget_s, ratio): _counts(
            [replay(noise.rounds(random, 40, ratio=ratio), budget_s=budget_s) for _ in range(count)]
        )
        for budget_s, ratio, count in cells
    }


def cell(budget_s: float, ratio: float) -> str:
    """Return the name of one way to compare: "15 s, 1.00"."""
    return f"{budget_s:g} s, {ratio:.2f}"


def _counts(endings: Sequence[Ending]) -> dict[str, int]:
    words = [one.verdict for one in endings]
    counts = {word: words.count(word) for word in sorted(set(words))}
    return {**counts, "rounds": sum(one.round_count for one in endings)}


def summed(rounds: Sequence[dict[str, Any]], noise: str, name: str) -> dict[str, int]:
    """Return the counts of one cell over all rounds."""
    totals: dict[str, int] = {}
    for one in rounds:
        for word, count in one[noise][name].items():
            totals[word] = totals.get(word, 0) + count
    return totals


def table() -> Table | None:
    """Return the figures of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    return Table(
        title="Comparisons by replay",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"No clock: medians of rounds go one after the other through the stop rule and the whole analysis at their "
            f"default settings, a round taking {ROUND_S:g} s of device time. Recorded: the rounds of worker_vs_native, "
            f"in runs of {RUN_LENGTH} neighbours drawn with replacement, less the mean ratio of the two programs, "
            f"which of the two is which drawn for each round. Simulated: log ratios of Student's t with {TAIL_DEGREES} "
            "degrees of freedom over a level that drifts as recorded ones do. A/A: both are the same model; planted: "
            "one takes 3, 4 or 5 % longer. Shares of the comparisons, and their rounds in the mean."
        ),
        run=run,
        head=["noise", "budget", "planted", "comparisons", "false", "no difference", "found", "undecided", "rounds"],
        rows=[_row(run.rounds, noise, name) for noise in run.rounds[0] for name in run.rounds[0][noise]],
        verdicts=[false_verdict(run.rounds), settled_verdict(run.rounds), found_verdict(run.rounds)],
    )


def _row(rounds: Sequence[dict[str, Any]], noise: str, name: str) -> list[str]:
    counts = summed(rounds, noise, name)
    total = _total(counts)
    budget, _, ratio = name.partition(", ")
    is_aa = ratio == "1.00"
    false = sum(counts.get(word, 0) for word in (_FALSE if is_aa else ("FASTER",)))
    found = "" if is_aa else f"{counts.get('SLOWER', 0) / total:.1%}"
    settled, undecided = (f"{counts.get(word, 0) / total:.1%}" for word in ("NO_DIFFERENCE", "UNDECIDED"))
    planted = "none" if is_aa else f"{float(ratio) - 1:.0%}"
    mean_rounds = f"{counts['rounds'] / total:.1f}"
    return [noise, budget, planted, str(total), f"{false / total:.2%}", settled, found, undecided, mean_rounds]


def _total(counts: dict[str, int]) -> int:
    return sum(count for word, count in counts.items() if word != "rounds")


def false_verdict(rounds: Sequence[dict[str, Any]]) -> str:
    """Return one sentence: how many A/A verdicts were false, over all noise."""
    cells = [summed(rounds, noise, cell(budget_s, 1.0)) for noise in rounds[0] for budget_s in (SHORT_S, LONG_S)]
    total, false = sum(map(_total, cells)), sum(one.get(word, 0) for one in cells for word in _FALSE)
    worst = max(sum(one.get(word, 0) for word in _FALSE) / _total(one) for one in cells)
    stands = "met" if worst <= MOST_FALSE_SHARE else "missed"
    stands = stands if total >= LEAST_AA_COUNT else f"undecided, {total} of {LEAST_AA_COUNT} comparisons"
    return (
        f"{stands}. Target: at most {MOST_FALSE_SHARE:.1%} of {LEAST_AA_COUNT:,} A/A comparisons false; {false} of "
        f"{total:,} were ({false / total:.2%}), {worst:.2%} under the worst noise."
    )


def settled_verdict(rounds: Sequence[dict[str, Any]]) -> str:
    """Return one sentence: the least share of quiet A/A comparisons of 15 s that end in "no difference"."""
    return _least(rounds, [cell(SHORT_S, 1.0)], "NO_DIFFERENCE", LEAST_SETTLED_SHARE, f"A/A in {SHORT_S:g} s end in")


def found_verdict(rounds: Sequence[dict[str, Any]]) -> str:
    """Return one sentence: the least share of planted slowdowns that are found in 60 s on a quiet machine."""
    names = [cell(LONG_S, ratio) for ratio in PLANTED]
    return _least(rounds, names, "SLOWER", LEAST_FOUND_SHARE, f"3 to 5 % longer in {LONG_S:g} s are found as")


def _least(rounds: Sequence[dict[str, Any]], names: Sequence[str], word: str, target: float, what: str) -> str:
    shares = []
    for noise in (one for one in rounds[0] if one in QUIET):
        for name in names:
            counts = summed(rounds, noise, name)
            shares.append(counts.get(word, 0) / _total(counts))
    if not shares:
        return f"undecided: no noise of a quiet machine was replayed. Target: at least {target:.0%} of {what} {word}."
    stands = "met" if min(shares) >= target else "missed"
    return (
        f"{stands}. Target: at least {target:.0%} of {what} {word} at an sd of 1.5 % and below; {min(shares):.1%} do."
    )
