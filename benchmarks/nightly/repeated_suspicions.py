"""How often a quiet series looks worse night after night, where no confirmation can put anything back.

Command: `python -m benchmarks.nightly.repeated_suspicions`.

The series are those of a simulated fleet's healthy devices (fleet_noise.py), without a change and with seeds of their
own. A night suspects a series where it is a candidate and a second measurement of the same night, which shares what the
night has of its own, shows it, too: as steelyard.nightly.remeasured has it. Suspected nights are left out of what the
next ones are held against, as those of an open alert are. It says whether a suspicion that repeats could count as a
confirmation.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.nightly.fleet_noise import SeriesNoise
from benchmarks.nightly.fleet_plan import NIGHT_COUNT, DeviceKind, SimulatedDevice, device, kind_of
from benchmarks.nightly.measured_nights import measure_nights, night_levels, session_log
from benchmarks.progress import say
from steelyard.series.device_judging import SentinelNight, judge_nights_of_device
from steelyard.series.history import History
from steelyard.series.judgements import Candidate, NoCandidateCode, Side
from steelyard.series.judging import judge_night
from steelyard.series.metric_rules import rule_for
from steelyard.series.series_key import SeriesKey

_FIRST_SEED = 60_000
_RULE = rule_for("p50")
# Suspected nights in a row that are counted.
_IN_A_ROW = (1, 2, 3, 5)


def main(words: Sequence[str] | None = None) -> int:
    """Print how many series-nights end so many suspected nights in a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=20, help="simulated devices (default: %(default)s)")
    options = parser.parse_args(words)
    counts: Counter[str] = Counter()
    for seed in range(options.devices):
        say(f"device {seed + 1} of {options.devices}")
        random = np.random.default_rng([_FIRST_SEED, seed])
        made = device(random, next(index for index in range(seed, seed + 12) if kind_of(index) is DeviceKind.HEALTHY))
        sentinels = measure_nights(random, made).sentinels
        for one in made.series:
            twice = one.level_ns * _measured_twice(random, made, one.noise)
            counts += _nights_of(twice, made, sentinels)
    nights = counts["judged"]
    for length in _IN_A_ROW:
        rows = counts[f"row of {length}"]
        print(f"{length} suspected in a row: {rows} of {nights} series-nights, {2000 * rows / nights:.1f} in 2,000")
    return 0


def _measured_twice(random: np.random.Generator, made: SimulatedDevice, noise: SeriesNoise) -> NDArray[np.float64]:
    """Return two figures of each night, relative to the series' level [2, nights]."""
    shared = night_levels(random, noise) + noise.loading * made.levels
    sessions = [[session_log(random, noise) for _ in range(NIGHT_COUNT)] for _ in range(2)]
    figures: NDArray[np.float64] = np.exp(shared + np.array(sessions))
    return figures


def _nights_of(twice: NDArray[np.float64], made: SimulatedDevice, sentinels: Sequence[SentinelNight]) -> Counter[str]:
    counts: Counter[str] = Counter()
    verdicts = judge_nights_of_device("device", sentinels)
    row: list[int] = []
    for night in np.flatnonzero(made.online).tolist():
        nights = np.array([one for one in np.flatnonzero(made.online[: night + 1]).tolist() if one not in row])
        judged = judge_night(_history(twice[0], nights, sentinels), _RULE, night=night)
        if verdicts[night].holds_back or getattr(judged, "code", None) is NoCandidateCode.NO_HISTORY:
            continue
        counts["judged"] += 1
        if not (isinstance(judged, Candidate) and judged.side is Side.WORSE and _shows(judged, float(twice[1, night]))):
            row.clear()
            continue
        row.append(night)
        counts[f"row of {len(row)}"] += 1
    return counts


def _history(values: NDArray[np.float64], nights: NDArray[np.int64], sentinels: Sequence[SentinelNight]) -> History:
    levels = [sentinels[one].level_at(0.5) for one in nights.tolist()]
    return History(
        key=SeriesKey(suite="simulated", model="any", device_id="device", runtime="any", metric="p50"),
        nights=nights,
        values=values[nights],
        sentinels=np.array([np.nan if one is None else one for one in levels]),
    )


def _shows(candidate: Candidate, again_ns: float) -> bool:
    """Say whether the second measurement of a candidate's night is as far from the nights before as counts."""
    before = candidate.before or 0.0
    return again_ns - before >= max(_RULE.minimum_effect_abs, _RULE.minimum_effect * before)


if __name__ == "__main__":
    sys.exit(main())
