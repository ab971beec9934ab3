"""Why the stop rule spends its error as it does: ways of spending it compared by simulation; prints a table.

Example:
  python -m benchmarks.spending_choice      20,000 comparisons a cell, about half a minute, no clock

Vectorised, hence apart from the rule itself, which `python -m benchmarks.run replay_aa` replays as it is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from steelyard.stats.spending import SPENT_BY_ONE, spent_share

SIMULATED_COUNT = 20_000
MOST_ROUNDS, SHORT_ROUNDS = 40, 12
TAIL_DEGREES = 4
DIFFERENCE_ERROR, EQUIVALENCE_ERROR = 0.01 * SPENT_BY_ONE, 0.05 * SPENT_BY_ONE
EFFECT, MARGIN = math.log1p(0.02), math.log1p(0.03)
OUR_LOOKS, FORMER_LOOKS = (6, 10, 14, 20, 28, 40), (6, 9, 13, 19, 28, 40)
_UNDECIDED, _FASTER, _SLOWER, _SAME = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Looks, the share of the error spent up to a fraction of the rounds, and whether the budget's end is a look."""

    name: str
    looks: Sequence[int]
    spent: Callable[[float], float]
    looks_at_the_end: bool = True
    equivalence_error: float = EQUIVALENCE_ERROR

    def plan(self, most: int) -> list[tuple[int, float]]:
        """Return the looks within ``most`` rounds, each with the share of the error that it gets."""
        looks = [look for look in self.looks if look < most]
        looks += [most] if self.looks_at_the_end or most in self.looks else []
        ends = [self.spent(look / MOST_ROUNDS) for look in looks]
        if self.looks_at_the_end:
            ends[-1] = 1.0
        return [(look, end - start) for look, end, start in zip(looks, ends, [0.0, *ends], strict=False)]


def schemes() -> list[Scheme]:
    """Return equal shares as they were, the two known types, and ours with one interval and with two."""
    former = [look / MOST_ROUNDS for look in FORMER_LOOKS]
    extreme = float(ndtri(1.0 - DIFFERENCE_ERROR / 4.0))
    return [
        Scheme(
            name="equal shares, as before",
            looks=FORMER_LOOKS,
            spent=lambda fraction: sum(one <= fraction for one in former) / len(former),
            looks_at_the_end=False,
            equivalence_error=DIFFERENCE_ERROR,
        ),
        Scheme(name="Pocock's type", looks=OUR_LOOKS, spent=lambda t: math.log1p((math.e - 1.0) * t)),
        Scheme(name="ours, one interval", looks=OUR_LOOKS, spent=spent_share, equivalence_error=DIFFERENCE_ERROR),
        Scheme(name="ours", looks=OUR_LOOKS, spent=spent_share),
        Scheme(
            name="O'Brien and Fleming's type",
            looks=OUR_LOOKS,
            spent=lambda t: 4.0 * float(ndtr(-extreme / math.sqrt(t))) / DIFFERENCE_ERROR,
        ),
    ]


def simulate(scheme: Scheme, logs: NDArray[np.float64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the verdict of each row of log ratios [comparisons, rounds], and after how many rounds it came."""
    verdicts = np.zeros(len(logs), dtype=np.int64)
    rounds = np.full(len(logs), most, dtype=np.int64)
    for count, share in scheme.plan(most):
        mean, error = logs[:, :count].mean(axis=1), logs[:, :count].std(axis=1, ddof=1) / math.sqrt(count)
        wide, narrow = (
            error * stdtrit(count - 1, 1.0 - share * whole / 2.0)
            for whole in (DIFFERENCE_ERROR, scheme.equivalence_error)
        )
        found = np.select(
            [(mean > wide) & (mean >= EFFECT), (-mean > wide) & (mean <= -EFFECT), np.abs(mean) + narrow < MARGIN],
            [_FASTER, _SLOWER, _SAME],
            _UNDECIDED,
        )
        now = (verdicts == _UNDECIDED) & (found != _UNDECIDED)
        verdicts[now], rounds[now] = found[now], count
    return verdicts, rounds


def row(scheme: Scheme, logs: NDArray[np.float64]) -> list[str]:
    """Return the figures of one way to spend under one noise."""
    short, _ = simulate(scheme, logs, SHORT_ROUNDS)
    long, until = simulate(scheme, logs, MOST_ROUNDS)
    slower, _ = simulate(scheme, logs - MARGIN, MOST_ROUNDS)
    clear, at = simulate(scheme, logs - math.log1p(0.1), MOST_ROUNDS)
    false = max(np.mean((one == _FASTER) | (one == _SLOWER)) for one in (short, long))
    return [
        scheme.name,
        f"{np.mean(short == _SAME):.1%}",
        f"{np.mean(slower == _SLOWER):.1%}",
        f"{until.mean():.1f}",
        f"{at[clear == _SLOWER].mean():.1f}",
        f"{false:.2%}",
    ]


def main() -> int:
    """Print one table a noise."""
    head = ["spending", "A/A in 12: no difference", "3 % in 40: found", "rounds of A/A", "rounds of 10 %", "A/A false"]
    for sigma in (0.01, 0.015, 0.03):
        random = np.random.default_rng(1)
        scale = sigma / math.sqrt(TAIL_DEGREES / (TAIL_DEGREES - 2.0))
        # The difference of two launches, each with the tails of one.
        launches = random.standard_t(TAIL_DEGREES, (2, SIMULATED_COUNT, MOST_ROUNDS)) * scale / math.sqrt(2.0)
        print(f"\nsd of the log ratio {sigma:.1%}\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
        for scheme in schemes():
            print(f"| {' | '.join(row(scheme, launches[0] - launches[1]))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
