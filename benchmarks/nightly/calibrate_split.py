"""How small the p-value of the best split of a series without a change is.

Command: `python -m benchmarks.nightly.calibrate_split`.

The series are those of a simulated fleet's healthy devices (fleet_noise.py), freed of their device's nights as the
analysis frees them, with seeds of their own. The p-value that 1 % of the series stay below, by number of nights, is
what localisation.MOST_P must not exceed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.nightly.fleet_plan import DeviceKind, device, kind_of
from benchmarks.nightly.measured_nights import MeasuredNights, measure_nights
from benchmarks.progress import say
from steelyard.series.device_share import device_share
from steelyard.series.e_divisive import best_splits
from steelyard.series.localisation import LEAST_NIGHTS, MOST_P, change_points, split_p_values

LENGTHS = (10, 15, 20, 30, 40, 50)
_FIRST_SEED = 50_000
_SHARES = (0.05, 0.01, 0.001)


def main(words: Sequence[str] | None = None) -> int:
    """Print the quantiles of the p-values, by number of nights, and the largest threshold that they allow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=250, help="simulated devices (default: %(default)s)")
    options = parser.parse_args(words)
    series = quiet_series(options.devices)
    print(f"{'nights':>6}  " + "  ".join(f"{share:>8.1%}" for share in _SHARES) + f"   of {len(series)} series")
    allowed = 1.0
    for count in LENGTHS:
        part = series[:, -count:]
        p_values = split_p_values(part, best_splits(part, LEAST_NIGHTS).indices)
        quantiles = [float(np.quantile(p_values, share)) for share in _SHARES]
        allowed = min(allowed, quantiles[1])
        print(f"{count:>6}  " + "  ".join(f"{one:>8.1e}" for one in quantiles))
    print(f"1 % of the series of any length lie below {allowed:.1e}")
    wrong = sum(bool(change_points(one)) for one in series)
    print(f"with {MOST_P:.0e} a change is located in {wrong / len(series):.2%} of the series of {max(LENGTHS)} nights")
    return 0


def quiet_series(device_count: int) -> NDArray[np.float64]:
    """Return the logs of the last 50 nights of series without a change [S, 50], freed of their device's nights."""
    kept = []
    for seed in range(device_count):
        say(f"device {seed + 1} of {device_count}")
        random = np.random.default_rng([_FIRST_SEED, seed])
        made = device(random, next(index for index in range(seed, seed + 12) if kind_of(index) is DeviceKind.HEALTHY))
        measured = measure_nights(random, made)
        for index, one in enumerate(made.series):
            known = np.isfinite(measured.values_ns[index])
            if one.planted_night is None and known.sum() >= max(LENGTHS):
                kept.append(_freed(measured, index, np.flatnonzero(known)[-max(LENGTHS) :]))
    return np.array(kept)


def _freed(measured: MeasuredNights, index: int, nights: NDArray[np.int64]) -> NDArray[np.float64]:
    logs = np.log(measured.values_ns[index, nights])
    levels = [measured.sentinels[night].level_at(float(measured.places[index, night])) for night in nights]
    sentinel = np.log(np.array([np.nan if one is None else one for one in levels]))
    return logs - device_share(logs[:-1], sentinel[:-1]) * sentinel


if __name__ == "__main__":
    sys.exit(main())
