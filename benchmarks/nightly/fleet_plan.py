"""Which devices and series a simulated fleet has, and what is planted in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from benchmarks.nightly.fleet_noise import SeriesNoise, autoregression, series_noise

DEVICE_COUNT, SERIES_COUNT, NIGHT_COUNT = 50, 40, 60
# Nights between which something is planted: enough before them to know the series, enough after them to see it.
FIRST_PLANT, LAST_PLANT = 20, 55
PLANTED_EFFECT, PLANTED_SD = 0.05, 0.015
# Of the series of a healthy device.
PLANTED_SHARE = 0.3
# Devices wander from night to night; the sentinel is there to see it.
DEVICE_SD, DEVICE_MEMORY = 0.01, 0.6
DRIFT_A_NIGHT, MOST_DRIFT, JUMP, RAMP, RAMP_SHARE = 0.0025, 0.12, 0.09, 0.12, 0.7
GOES_OFFLINE, STAYS_OFFLINE, LOST_SERIES = 0.02, 0.5, 0.005
# Nights on which a network or a power strip takes half of the fleet away.
HALF_OFFLINE = (33, 34)


class DeviceKind(Enum):
    """What is wrong with a device."""

    HEALTHY = "healthy"
    # A little slower every night.
    DRIFTING = "drifting"
    # Another level from one night on.
    JUMPED = "jumped"
    # Heats up within the session, in most nights from one on.
    RAMPS = "ramps"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedSeries:
    """A series: its level in ns, its noise, and the first night of a planted regression, None where there is none."""

    level_ns: float
    noise: SeriesNoise
    planted_night: int | None = None

    def effect(self, night: int) -> float:
        """Return the planted log effect on a night."""
        is_planted = self.planted_night is not None and night >= self.planted_night
        return math.log1p(PLANTED_EFFECT) if is_planted else 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedDevice:
    """A device: ``levels`` [nights] on the log scale, ``ramps`` [nights] within the session, ``online`` [nights].

    ``planted_night`` is the first night on which something is wrong with it, None for a healthy one.
    """

    kind: DeviceKind
    planted_night: int | None
    levels: NDArray[np.float64]
    ramps: NDArray[np.float64]
    online: NDArray[np.bool_]
    series: tuple[SimulatedSeries, ...]


def kind_of(index: int) -> DeviceKind:
    """Return the kind of the device at ``index``: of 50, 38 are healthy, 4 drift, 4 jump and 4 heat up."""
    kinds = {3: DeviceKind.DRIFTING, 7: DeviceKind.JUMPED, 11: DeviceKind.RAMPS}
    return kinds.get(index % 12, DeviceKind.HEALTHY)


def device(random: np.random.Generator, index: int) -> SimulatedDevice:
    """Draw the device at ``index`` of the fleet."""
    kind = kind_of(index)
    planted = None if kind is DeviceKind.HEALTHY else int(random.integers(FIRST_PLANT, LAST_PLANT - 15))
    levels = autoregression(random, NIGHT_COUNT, DEVICE_SD, DEVICE_MEMORY) + _planted_levels(kind, planted)
    ramps = np.expm1(random.normal(0.0, 0.004, NIGHT_COUNT))
    if kind is DeviceKind.RAMPS and planted is not None:
        hot = (np.arange(NIGHT_COUNT) >= planted) & (random.random(NIGHT_COUNT) < RAMP_SHARE)
        ramps[hot] += RAMP
    return SimulatedDevice(
        kind=kind,
        planted_night=planted,
        levels=levels,
        ramps=ramps,
        online=_online(random, index),
        series=tuple(_series(random, kind) for _ in range(SERIES_COUNT)),
    )


def _planted_levels(kind: DeviceKind, planted: int | None) -> NDArray[np.float64]:
    since = np.arange(NIGHT_COUNT) - (planted or 0) + 1.0
    if kind is DeviceKind.DRIFTING:
        return np.minimum(MOST_DRIFT, DRIFT_A_NIGHT * np.maximum(0.0, since))
    if kind is DeviceKind.JUMPED:
        return np.where(since > 0.0, math.log1p(JUMP), 0.0)
    return np.zeros(NIGHT_COUNT)


def _online(random: np.random.Generator, index: int) -> NDArray[np.bool_]:
    online = np.ones(NIGHT_COUNT, dtype=np.bool_)
    for night in range(1, NIGHT_COUNT):
        online[night] = random.random() >= (GOES_OFFLINE if online[night - 1] else STAYS_OFFLINE)
    online[list(HALF_OFFLINE)] &= index % 2 == 0
    return online


def _series(random: np.random.Generator, kind: DeviceKind) -> SimulatedSeries:
    is_planted = kind is DeviceKind.HEALTHY and random.random() < PLANTED_SHARE
    level_ns = math.exp(random.uniform(math.log(1e6), math.log(2e8)))
    if not is_planted:
        return SimulatedSeries(level_ns=level_ns, noise=series_noise(random))
    # Of 2 ms at least, so that 5 % is more than the least absolute change.
    planted = int(random.integers(FIRST_PLANT, LAST_PLANT))
    return SimulatedSeries(level_ns=max(level_ns, 2e6), noise=series_noise(random, PLANTED_SD), planted_night=planted)
