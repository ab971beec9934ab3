"""Rounds with a known truth: launches that differ, samples that jitter, a device that drifts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Spread of the medians between launches of a 0.16 ms model, as measured (docs/measuring.md).
LAUNCH_SIGMA = 0.042


def round_medians(
    random: np.random.Generator, sessions: int, rounds: int, *, ratio: float = 1.0, sigma: float = LAUNCH_SIGMA
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return medians [sessions, rounds] of a reference and of a candidate that takes 1/ratio of its time.

    Both share a slow drift of a few percent; every launch has its own level, one in twenty is 10 % slow.
    """
    drift = np.cumsum(random.normal(0.0, 0.01, (sessions, rounds)), axis=1)

    def launches() -> NDArray[np.float64]:
        slow = np.where(random.random((sessions, rounds)) < 0.05, np.log(1.1), 0.0)
        return np.exp(drift + slow + random.normal(0.0, sigma, (sessions, rounds)))

    return 1e6 * launches(), 1e6 / ratio * launches()


def session_samples(
    random: np.random.Generator, rounds: int, samples: int, *, median_ns: float = 1e6
) -> list[NDArray[np.int64]]:
    """Return int64 samples per round: a lognormal launch level times right-skewed jitter whose median is 1."""
    level = np.exp(random.normal(0.0, LAUNCH_SIGMA, (rounds, 1)))
    jitter = np.exp(0.05 * random.normal(0.0, 1.0, (rounds, samples)))
    return list(np.round(median_ns * level * jitter).astype(np.int64))
