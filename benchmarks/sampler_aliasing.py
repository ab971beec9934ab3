"""How wrong sampled energy is when the load has a period of its own: three ways of spacing samples, simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, repeat
from math import sqrt
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.progress import counted
from benchmarks.results_file import ResultsFile, this_key
from benchmarks.table import Table
from steelyard_agent.sampler.intervals import intervals

NAME = "sampler_aliasing"
ROUND_COUNT = 60
WINDOW_S, PERIOD_S, LATE_S = 30.0, 0.020, 0.0001
LOW_W, HIGH_W, HIGH_SHARE = 2.0, 20.0, 0.3
LOAD_PERIODS_MS = (5, 7, 10, 13, 15, 17.3, 20, 20.1, 25, 27.5, 32.4, 40, 50, 60, 100, 300, 1000, 2000)
SETTINGS = {"window_s": WINDOW_S, "period_s": PERIOD_S, "late_s": LATE_S, "loads_ms": list(LOAD_PERIODS_MS)}
_WAYS: dict[str, Callable[[Random], Iterator[float]]] = {
    "even": lambda _random: repeat(1.0),
    "random": lambda random: iter(lambda: random.uniform(0.5, 1.5), None),
    "sampler": lambda random: intervals(random.random()),
}


async def measure(round_count: int) -> None:
    """Simulate until ``round_count`` rounds are in the results file; each round has a seed of its own."""
    results, key = ResultsFile(NAME), this_key(SETTINGS)
    done = len(results.rounds(key))
    for index in counted(NAME, done, round_count):
        random = Random(1000 + index)
        results.append(key, {f"{period:g}": _errors(period / 1000, random) for period in LOAD_PERIODS_MS})


def _errors(load_period_s: float, random: Random) -> dict[str, float]:
    phase_s = random.random() * load_period_s
    return {way: _error(load_period_s, phase_s, make(random), random) for way, make in _WAYS.items()}


def _error(load_period_s: float, phase_s: float, spaced: Iterator[float], random: Random) -> float:
    """Return the relative error of the trapezoid over one window of a load that is high for a share of its period."""
    count = int(WINDOW_S / PERIOD_S) + 200
    times = np.cumsum([interval * PERIOD_S + random.expovariate(1 / LATE_S) for interval in islice(spaced, count)]) - 1
    watts = np.where((times + phase_s) % load_period_s < HIGH_SHARE * load_period_s, HIGH_W, LOW_W)
    energy = np.concatenate([[0.0], np.cumsum((watts[1:] + watts[:-1]) / 2 * np.diff(times))])
    measured = np.diff(np.interp([0.0, WINDOW_S], times, energy))[0]
    return float(measured / _true_energy_j(load_period_s, phase_s) - 1)


def _true_energy_j(load_period_s: float, phase_s: float) -> float:
    def high_s(until: NDArray[np.float64]) -> NDArray[np.float64]:
        whole, part = np.divmod(until, load_period_s)
        return whole * HIGH_SHARE * load_period_s + np.minimum(part, HIGH_SHARE * load_period_s)

    seconds = np.diff(high_s(np.array([phase_s, phase_s + WINDOW_S])))[0]
    return float(LOW_W * WINDOW_S + (HIGH_W - LOW_W) * seconds)


def rms(rounds: tuple[dict[str, dict[str, float]], ...], period: str, way: str) -> float:
    """Return the root mean square of the relative errors of one way at one period of the load."""
    return sqrt(sum(one[period][way] ** 2 for one in rounds) / len(rounds))


def table() -> Table | None:
    """Return the errors of the latest rounds."""
    run = ResultsFile(NAME).latest()
    if run is None:
        return None
    rows = [[f"{period} ms", *(f"{rms(run.rounds, period, way):.1%}" for way in _WAYS)] for period in run.rounds[0]]
    worst = {way: max(rms(run.rounds, period, way) for period in run.rounds[0]) for way in _WAYS}
    return Table(
        title="A load in step with the sampler",
        command=f"python -m benchmarks.run {NAME}",
        method=(
            f"Simulated, no clock: {WINDOW_S:g} s of a load of {LOW_W:g} W and {HIGH_W:g} W, high for "
            f"{HIGH_SHARE:.0%} of its period, sampled every {PERIOD_S * 1000:g} ms in the mean, each sample late by "
            f"{LATE_S * 1e6:g} us in the mean (exponential; the next is due from there, as in the sampler), integrated "
            "by the trapezoid rule; every round has other phases. Root mean square of the error over the rounds, by "
            "the load's own period: evenly spaced, evenly random between 0.5 and 1.5 periods, and as the sampler does "
            "(sampler/intervals.py)."
        ),
        run=run,
        head=["the load's period", "even", "random", "as the sampler does"],
        rows=rows,
        verdicts=[
            (
                f"Worst over {len(rows)} periods: even {worst['even']:.1%}, random {worst['random']:.1%}, as the "
                f"sampler does {worst['sampler']:.1%}. No target is set."
            )
        ],
    )
