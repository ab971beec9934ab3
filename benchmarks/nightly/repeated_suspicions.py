"""How often a quiet series looks worse where no confirmation can put anything back, and how soon a real change counts.

Command: `python -m benchmarks.nightly.repeated_suspicions`.

The series are those of a simulated fleet's healthy devices (fleet_noise.py), with seeds of their own. A night suspects
a series where it is a candidate and a second measurement of the same night, which shares what the night has of its own,
shows it, too: as steelyard.nightly.remeasured has it. The nights of an open suspicion are left out of what later ones
are held against; it is over where a night is as before when it is measured again, or after two good nights. A suspicion
that is beyond the noise of nights (steelyard.series.lasting) leaves the night incomplete; any other one is watched.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.nightly.fleet_noise import SeriesNoise
from benchmarks.nightly.fleet_plan import NIGHT_COUNT, DeviceKind, SimulatedDevice, device, kind_of
from benchmarks.nightly.measured_nights import measure_nights, night_levels, session_log
from benchmarks.progress import say
from steelyard.series.device_judging import SentinelNight, judge_nights_of_device
from steelyard.series.history import History
from steelyard.series.judgements import Candidate, NoCandidate, NoCandidateCode, Side
from steelyard.series.judging import judge_night
from steelyard.series.lasting import is_beyond_noise, lasting_p
from steelyard.series.metric_rules import rule_for
from steelyard.series.series_key import SeriesKey
from steelyard.triage.nights import NIGHTS_UNTIL_FIXED

_FIRST_SEED = 70_000
_RULE = rule_for("p50")
_EFFECTS = (0.0, 0.05, 0.10, 0.20)
# Nights since the change, the first one counted, by which a suspicion counts.
_BY_NIGHT = (1, 2, 3, 5, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedNight:
    """A night of one series: nights since the planted change (0 before it), and what became of it."""

    since_change: int
    is_suspected: bool
    is_beyond_noise: bool


def main(words: Sequence[str] | None = None) -> int:
    """Print how many series-nights are watched and left open, quiet and with changes of some sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=20, help="simulated devices (default: %(default)s)")
    options = parser.parse_args(words)
    for effect in _EFFECTS:
        judged = [nights for seed in range(options.devices) for nights in _device_nights(seed, effect)]
        print(_quiet_words(judged) if effect == 0.0 else f"{effect:.0%} slower, {_found_words(judged)}")
    return 0


def _quiet_words(judged: Sequence[Sequence[JudgedNight]]) -> str:
    nights = Counter[str]()
    for one in (night for series in judged for night in series):
        nights.update({"judged": 1, "suspected": one.is_suspected, "beyond noise": one.is_beyond_noise})
    series = sum(any(one.is_beyond_noise for one in series) for series in judged)
    shares = ", ".join(
        f"{name} {nights[name]} ({2000 * nights[name] / nights['judged']:.2f} in 2,000)"
        for name in ("suspected", "beyond noise")
    )
    return f"quiet: {nights['judged']} series-nights of {len(judged)} series; {shares}, of {series} series"


def _found_words(judged: Sequence[Sequence[JudgedNight]]) -> str:
    changed = [nights for nights in judged if nights[-1].since_change >= max(_BY_NIGHT)]
    found = Counter[int]()
    for nights in changed:
        first = min((one.since_change for one in nights if one.since_change and one.is_beyond_noise), default=math.inf)
        found.update(by for by in _BY_NIGHT if first <= by)
    shares = ", ".join(f"{by}: {found[by] / len(changed):.0%}" for by in _BY_NIGHT)
    return f"{len(changed)} series: beyond noise by night {shares}"


def _device_nights(seed: int, effect: float) -> Iterator[list[JudgedNight]]:
    """Yield a device's series as judged: those without a planted change for effect 0, else the others with that one."""
    say(f"device {seed + 1}, {effect:.0%}")
    random = np.random.default_rng([_FIRST_SEED, seed])
    made = device(random, next(index for index in range(seed, seed + 12) if kind_of(index) is DeviceKind.HEALTHY))
    sentinels = measure_nights(random, made).sentinels
    for one in made.series:
        twice = one.level_ns * _measured_twice(random, made, one.noise)
        if (one.planted_night is None) is (effect == 0.0):
            first = NIGHT_COUNT if one.planted_night is None else one.planted_night
            twice[:, first:] *= 1.0 + effect
            yield _nights_of(twice, made, sentinels, first)


def _measured_twice(random: np.random.Generator, made: SimulatedDevice, noise: SeriesNoise) -> NDArray[np.float64]:
    """Return two figures of each night, relative to the series' level [2, nights]."""
    shared = night_levels(random, noise) + noise.loading * made.levels
    sessions = [[session_log(random, noise) for _ in range(NIGHT_COUNT)] for _ in range(2)]
    figures: NDArray[np.float64] = np.exp(shared + np.array(sessions))
    return figures


def _nights_of(
    twice: NDArray[np.float64], made: SimulatedDevice, sentinels: Sequence[SentinelNight], changed_night: int
) -> list[JudgedNight]:
    judged: list[JudgedNight] = []
    verdicts = judge_nights_of_device("device", sentinels)
    opened: int | None = None
    good, since = 0, 0
    for night in np.flatnonzero(made.online).tolist():
        whole = _history(twice[0], np.flatnonzero(made.online[: night + 1]), sentinels)
        said = judge_night(whole if opened is None else _without(whole, opened, night), _RULE, night=night)
        if verdicts[night].holds_back or _has_no_history(said):
            continue
        since += night >= changed_night
        if not isinstance(said, Candidate) or not _shows(said, float(twice[1, night])):
            good += 1
            # Measured again and as before, or two nights that need no second look.
            opened = None if isinstance(said, Candidate) or good >= NIGHTS_UNTIL_FIXED else opened
            judged.append(JudgedNight(since_change=since, is_suspected=False, is_beyond_noise=False))
            continue
        good, opened = 0, night if opened is None else opened
        later_p = lasting_p(whole, _RULE, first_bad=opened, opened=opened)
        counts = is_beyond_noise(said.p_value or 0.0, later_p)
        judged.append(JudgedNight(since_change=since, is_suspected=True, is_beyond_noise=counts))
    return judged


def _has_no_history(said: Candidate | NoCandidate) -> bool:
    return isinstance(said, NoCandidate) and said.code is NoCandidateCode.NO_HISTORY


def _history(values: NDArray[np.float64], nights: NDArray[np.int64], sentinels: Sequence[SentinelNight]) -> History:
    levels = [sentinels[one].level_at(0.5) for one in nights.tolist()]
    return History(
        key=SeriesKey(suite="simulated", model="any", device_id="device", runtime="any", metric="p50"),
        nights=nights,
        values=values[nights],
        sentinels=np.array([np.nan if one is None else one for one in levels]),
    )


def _without(history: History, opened: int, night: int) -> History:
    kept = (history.nights < opened) | (history.nights == night)
    return replace(history, nights=history.nights[kept], values=history.values[kept], sentinels=history.sentinels[kept])


def _shows(candidate: Candidate, again_ns: float) -> bool:
    """Say whether the second measurement of a candidate's night is as far from the nights before as counts."""
    before = candidate.before or 0.0
    is_worse = candidate.side is Side.WORSE
    return is_worse and again_ns - before >= max(_RULE.minimum_effect_abs, _RULE.minimum_effect * before)


if __name__ == "__main__":
    sys.exit(main())
