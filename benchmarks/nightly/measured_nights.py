"""What a simulated device's nights measure: values of its series, the sentinel, rounds of confirmations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.nightly.fleet_noise import (
    NIGHT_ROUNDS,
    SENTINEL_ROUNDS,
    SeriesNoise,
    autoregression,
    session_rounds,
)
from benchmarks.nightly.fleet_plan import LOST_SERIES, NIGHT_COUNT, SimulatedDevice, SimulatedSeries
from steelyard.series.device_judging import SentinelNight, sentinel_figure

# A small frozen model of a millisecond.
SENTINEL = SeriesNoise(launch_sd=0.01, wander_sd=0.006, night_sd=0.004, night_memory=0.3)
_SENTINEL_NS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredNights:
    """All nights of a device.

    ``values_ns`` [series, nights] are NaN where nothing was measured; ``places`` [series, nights] say where in the
    session, from 0 to 1; ``sentinels`` has one a night.
    """

    values_ns: NDArray[np.float64]
    places: NDArray[np.float64]
    sentinels: tuple[SentinelNight, ...]


def measure_nights(random: np.random.Generator, device: SimulatedDevice) -> MeasuredNights:
    """Draw every night of a device. Series are measured in another order each night."""
    values = np.array([_values(random, one) for one in device.series])
    count = len(device.series)
    places = np.array([random.permutation(count) for _ in range(NIGHT_COUNT)]).T / max(1, count - 1)
    loadings = np.array([one.noise.loading for one in device.series])[:, None]
    values *= np.exp(loadings * (device.levels + np.log1p(device.ramps) * places))
    values[random.random(values.shape) < LOST_SERIES] = np.nan
    values[:, ~device.online] = np.nan
    return MeasuredNights(values_ns=values, places=places, sentinels=_sentinels(random, device))


def night_levels(random: np.random.Generator, noise: SeriesNoise) -> NDArray[np.float64]:
    """Return what all sessions of a series share in each night [nights], on the log scale."""
    nights = autoregression(random, NIGHT_COUNT, noise.night_sd, noise.night_memory)
    nights += noise.night_gap * (random.random(NIGHT_COUNT) < noise.night_mode)
    return nights


def session_log(random: np.random.Generator, noise: SeriesNoise) -> float:
    """Return the log of a session's figure around its night's: of the geometric mean over its rounds."""
    return float(np.mean(session_rounds(random, noise, NIGHT_ROUNDS, 1)))


def _values(random: np.random.Generator, series: SimulatedSeries) -> NDArray[np.float64]:
    """Return a series' values [nights] in ns on a device without a level of its own."""
    nights = night_levels(random, series.noise)
    for night in range(NIGHT_COUNT):
        nights[night] += session_log(random, series.noise) + series.effect(night)
    values: NDArray[np.float64] = series.level_ns * np.exp(nights)
    return values


def _sentinels(random: np.random.Generator, device: SimulatedDevice) -> tuple[SentinelNight, ...]:
    nights = autoregression(random, NIGHT_COUNT, SENTINEL.night_sd, SENTINEL.night_memory) + device.levels
    made = []
    for night in range(NIGHT_COUNT):
        if not device.online[night]:
            made.append(SentinelNight(start_ns=None, end_ns=None))
            continue
        start, end = (
            sentinel_figure(np.exp(session_rounds(random, SENTINEL, SENTINEL_ROUNDS, 1)).ravel().tolist())
            * _SENTINEL_NS
            * float(np.exp(nights[night]))
            for _ in range(2)
        )
        end *= 1.0 + float(device.ramps[night])
        made.append(SentinelNight(start_ns=start, end_ns=end))
    return tuple(made)


def confirmation_rounds(
    random: np.random.Generator, device: SimulatedDevice, series: SimulatedSeries, night: int, effect: float, count: int
) -> NDArray[np.float64]:
    """Return medians in ns [count, 2] of the last good one and the current one, interleaved in the same night.

    ``effect`` is the true log effect of the current one over the last good one. What both share (the device, the
    night) is left out of neither.
    """
    logs = session_rounds(random, series.noise, count, 2, ramp=float(device.ramps[night]))
    logs += device.levels[night] * series.noise.loading + np.array([0.0, effect])
    rounds: NDArray[np.float64] = series.level_ns * np.exp(logs)
    return rounds
