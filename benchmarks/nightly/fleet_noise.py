"""What a simulated series and device do from launch to launch and from night to night. Everything on the log scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.launch_noise import DRIFT_MEMORY, TAIL_DEGREES

# Rounds of one night's measurement of a series, and of the sentinel at each end of the session.
NIGHT_ROUNDS, SENTINEL_ROUNDS = 10, 6
# Medians of launches of one file differed by 0.9 % for models of milliseconds and 4.2 % for one of 0.16 ms; the level
# that launches share wandered by up to 2.4 % within minutes, with 0.76 between neighbours (docs/decisions/0013).
LAUNCH_SD, WANDER_SD = (0.005, 0.042), (0.004, 0.024)
# Sessions of one device resemble their neighbours (docs/decisions/0019: 0.3 to 0.5).
NIGHT_MEMORY = (0.2, 0.5)
# What one artifact's session has of its own, which interleaving cannot cancel. Believed: comparisons of a model with
# itself never showed any (docs/benchmarks.md), but there both are one file.
ARTIFACT_SD = 0.003
# A launch during which something else ran, and a whole session of that kind.
ODD_LAUNCH, ODD_SESSION = 0.01, 0.01
ODD_SIZE = (0.10, 0.50)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesNoise:
    """One series' noise: standard deviations of logs, and its modes.

    ``launch_sd`` is between launches (Student's t with 4 degrees of freedom), ``wander_sd`` of the level that launches
    of one session share, ``night_sd`` between sessions with ``night_memory`` between neighbours. A launch is in a
    second mode with probability ``launch_mode`` (``launch_gap`` slower), a whole session with ``night_mode``
    (``night_gap``). ``loading`` is how much of its device's level it feels.
    """

    launch_sd: float
    wander_sd: float
    night_sd: float
    night_memory: float
    launch_mode: float = 0.0
    launch_gap: float = 0.0
    night_mode: float = 0.0
    night_gap: float = 0.0
    loading: float = 1.0


def series_noise(random: np.random.Generator, total_sd: float | None = None) -> SeriesNoise:
    """Draw a series' noise.

    Args:
        random: Where it is drawn from.
        total_sd: The standard deviation of its nights' values without modes and odd sessions, to which ``night_sd`` is
            set; drawn between 0.5 and 4 % when left out, together with modes for one series in five.
    """
    is_plain = total_sd is not None
    wanted = total_sd or _between(random, 0.005, 0.04)
    launch_sd, wander_sd = _between(random, *LAUNCH_SD), _between(random, *WANDER_SD)
    within = within_sd(launch_sd, wander_sd, NIGHT_ROUNDS)
    # What the rounds bring must leave something to the nights.
    shrink = min(1.0, 0.7 * wanted / within)
    launch_sd, wander_sd = launch_sd * shrink, wander_sd * shrink
    modes = {} if is_plain else _modes(random)
    return SeriesNoise(
        launch_sd=launch_sd,
        wander_sd=wander_sd,
        night_sd=math.sqrt(wanted**2 - (within * shrink) ** 2 - ARTIFACT_SD**2),
        night_memory=float(random.uniform(*NIGHT_MEMORY)),
        loading=float(random.uniform(0.7, 1.3)),
        **modes,
    )


def _modes(random: np.random.Generator) -> dict[str, float]:
    kind = random.random()
    if kind < 0.1:
        return {"launch_mode": float(random.uniform(0.1, 0.5)), "launch_gap": float(random.uniform(0.03, 0.08))}
    if kind < 0.2:
        return {"night_mode": float(random.uniform(0.05, 0.3)), "night_gap": float(random.uniform(0.03, 0.10))}
    return {}


def _between(random: np.random.Generator, low: float, high: float) -> float:
    """Draw from a log-uniform distribution."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def within_sd(launch_sd: float, wander_sd: float, rounds: int) -> float:
    """Return the standard deviation of a session's mean over its rounds."""
    lags = np.arange(1, rounds)
    correlated = 1.0 + 2.0 * float(np.sum((1.0 - lags / rounds) * DRIFT_MEMORY**lags))
    return math.sqrt((launch_sd**2 + wander_sd**2 * correlated) / rounds)


def autoregression(random: np.random.Generator, count: int, deviation: float, memory: float) -> NDArray[np.float64]:
    """Return a stationary first-order autoregression [count]."""
    steps = random.normal(0.0, deviation * math.sqrt(1.0 - memory**2), count)
    steps[:1] = random.normal(0.0, deviation, min(1, count))
    for index in range(1, count):
        steps[index] += memory * steps[index - 1]
    return steps


def launches(random: np.random.Generator, noise: SeriesNoise, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what each launch of ``shape`` has of its own: tails, modes, something else that ran."""
    scale = noise.launch_sd / math.sqrt(TAIL_DEGREES / (TAIL_DEGREES - 2.0))
    made: NDArray[np.float64] = scale * random.standard_t(TAIL_DEGREES, shape)
    made += noise.launch_gap * (random.random(shape) < noise.launch_mode)
    odd = random.random(shape) < ODD_LAUNCH
    made += odd * np.log1p(random.uniform(*ODD_SIZE, shape))
    return made


def session_rounds(
    random: np.random.Generator, noise: SeriesNoise, rounds: int, artifacts: int, *, ramp: float = 0.0
) -> NDArray[np.float64]:
    """Return the logs of the medians [rounds, artifacts] of one interleaved session, around 0.

    The artifacts share the level that wanders and the odd session; each has launches and a small offset of its own.
    The order is reversed in every second round, and ``ramp`` is how much slower the device is at the end than at the
    start, launch by launch: what is second in a round is measured later.
    """
    level = autoregression(random, rounds, noise.wander_sd, DRIFT_MEMORY)
    if random.random() < ODD_SESSION:
        # Something else began while it was measured.
        level[random.integers(0, rounds) :] += math.log1p(random.uniform(*ODD_SIZE))
    logs = level[:, None] + launches(random, noise, (rounds, artifacts))
    logs += random.normal(0.0, ARTIFACT_SD, artifacts)
    places = np.arange(rounds * artifacts, dtype=np.float64).reshape(rounds, artifacts)
    places[1::2] = places[1::2, ::-1]
    return logs + noise.loading * math.log1p(ramp) * places / places.size
