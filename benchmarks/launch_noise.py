"""Rounds to replay: drawn from recorded ones in runs of neighbours, or simulated with heavy tails and slow drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Rounds that stay neighbours in the bootstrap: what is left of slow drift in their log ratios stays in.
RUN_LENGTH = 5
# Student's t with so few degrees of freedom has one launch in a hundred four sigma off, as recorded rounds have.
TAIL_DEGREES = 4
# Of the level that both share, from one round to the next; recorded: 0.76 between neighbours at an sd of 2.4 %.
DRIFT_SIGMA, DRIFT_MEMORY = 0.016, 0.76


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Where rounds come from: ``recorded`` medians [rounds, 2], or ``sigma`` of the log ratio to simulate."""

    name: str
    recorded: NDArray[np.float64] | None = None
    sigma: float = 0.0

    def rounds(self, random: np.random.Generator, count: int, *, ratio: float = 1.0) -> NDArray[np.float64]:
        """Return medians [count, 2] of a model and of one that takes ``ratio`` of its time."""
        logs = self._simulated(random, count) if self.recorded is None else self._drawn(random, count)
        medians: NDArray[np.float64] = np.exp(logs) * np.array([1.0, ratio])
        return medians

    def _drawn(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        assert self.recorded is not None
        logs = np.log(self.recorded)
        # The two columns are of two programs; less their mean ratio they are launches of one.
        logs = logs - np.array([0.0, np.mean(logs[:, 1] - logs[:, 0])])
        starts = random.integers(0, len(logs), -(-count // RUN_LENGTH))
        rows = (starts[:, None] + np.arange(RUN_LENGTH)) % len(logs)
        drawn: NDArray[np.float64] = logs[rows.ravel()[:count]]
        # Under A/A either launch of a round might have been the other one.
        turned = random.random(count) < 0.5
        drawn[turned] = drawn[turned][:, ::-1]
        return drawn

    def _simulated(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        scale = self.sigma / np.sqrt(2.0) / np.sqrt(TAIL_DEGREES / (TAIL_DEGREES - 2.0))
        steps = random.normal(0.0, DRIFT_SIGMA, count)
        drift = np.zeros(count)
        for index in range(1, count):
            drift[index] = DRIFT_MEMORY * drift[index - 1] + steps[index]
        launches: NDArray[np.float64] = scale * random.standard_t(TAIL_DEGREES, (count, 2))
        logs: NDArray[np.float64] = np.log(1e6) + drift[:, None] + launches
        return logs


def recorded_noise(rounds: Sequence[dict[str, dict[str, float]]]) -> list[Noise]:
    """Return one source of noise for each model of recorded rounds of two programs."""
    return [
        Noise(
            name=f"{model}, recorded",
            recorded=np.array(
                [[launch[name] for name in sorted(launch)] for launch in (one[model] for one in rounds)], float
            ),
        )
        for model in (rounds[0] if rounds else ())
    ]


def simulated_noise() -> list[Noise]:
    """Return launches whose log ratio has a standard deviation of 1, 1.5 and 3 %."""
    return [Noise(name=f"sd {100 * sigma:g} %, simulated", sigma=sigma) for sigma in (0.01, 0.015, 0.03)]
