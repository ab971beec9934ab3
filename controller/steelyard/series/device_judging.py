"""Is the device itself what it used to be? The sentinel at the start and the end of a night's session says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.series.early_warning import robust_deviation
from steelyard.series.judgements import DeviceVerdict, DeviceVerdictKind
from steelyard.stats.sentinel import LEAST_SESSIONS, SentinelVerdict, judge_sentinel

# As many as the early warning looks back to.
_LONGEST_PAST = 28
# As the throttle verdict of one measurement has it: its last quarter against its first.
MOST_MOVED = 0.05
# Past nights further off than so many deviations were nights on which something else ran; one of them in four weeks
# would otherwise make every later drift look usual.
_USUAL_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelNight:
    """The sentinel's p50 in ns at the start and at the end of a device's session; None where it was not measured.

    Each is the median over its rounds (``sentinel_figure``).
    """

    start_ns: float | None
    end_ns: float | None

    def __post_init__(self) -> None:
        """Refuse what has no logarithm."""
        for one in (self.start_ns, self.end_ns):
            if one is not None and not (math.isfinite(one) and one > 0.0):
                raise ValueError(f"a sentinel's figure is above 0 ns, not {one!r}")

    @property
    def level_ns(self) -> float | None:
        """The night's level: the geometric mean of both, or the one there is."""
        if self.start_ns is None or self.end_ns is None:
            return self.end_ns if self.start_ns is None else self.start_ns
        return math.sqrt(self.start_ns * self.end_ns)

    @property
    def moved(self) -> float | None:
        """The end over the start, None where one is missing."""
        if self.start_ns is None or self.end_ns is None:
            return None
        return self.end_ns / self.start_ns

    def level_at(self, position: float) -> float | None:
        """Return the level at a place in the session, 0 its start and 1 its end, in between on the log scale.

        What was measured late on a device that heats up is compared with what the sentinel was by then.
        """
        if not 0.0 <= position <= 1.0:
            raise ValueError(f"a place in the session lies between 0 and 1, not {position!r}")
        if self.start_ns is None or self.end_ns is None:
            return self.level_ns
        return math.exp((1.0 - position) * math.log(self.start_ns) + position * math.log(self.end_ns))


def sentinel_figure(rounds_ns: Sequence[float]) -> float:
    """Return a sentinel's figure from its p50 per round, in ns: their median.

    A launch beside which something else ran counts for nothing then, and would shift a mean.
    """
    return float(np.median(rounds_ns))


def judge_device(device_id: str, past: Sequence[SentinelNight], tonight: SentinelNight) -> DeviceVerdict:
    """Judge a device's night by its sentinel: the last of ``judge_nights_of_device``."""
    return judge_nights_of_device(device_id, [*past, tonight])[-1]


def judge_nights_of_device(device_id: str, nights: Sequence[SentinelNight]) -> tuple[DeviceVerdict, ...]:
    """Judge each night of a device by those before it.

    Its level is held against the last 28 usual nights (a jump) and against the first 28 (a slow drift, which the last
    ones share); its end against its start, beside what they differed by. A night that is not usual itself tells nothing
    of later ones: a device that changed for good is unlike itself until somebody accepts what it has become.

    Args:
        device_id: Of the device.
        nights: Since its state was last accepted, oldest first.
    """
    usual: list[SentinelNight] = []
    verdicts = []
    for night in nights:
        verdict = _judge(device_id, usual, night)
        verdicts.append(verdict)
        # The first nights are all there is to know of a device: one that always heats up is not odd for it.
        if not verdict.holds_back or len(usual) < LEAST_SESSIONS:
            usual.append(night)
    return tuple(verdicts)


def _judge(device_id: str, past: Sequence[SentinelNight], tonight: SentinelNight) -> DeviceVerdict:
    level, moved = tonight.level_ns, tonight.moved
    if level is None:
        reason = "its sentinel was not measured, so that its models' changes may be its own"
        return DeviceVerdict(device_id=device_id, kind=DeviceVerdictKind.UNKNOWN, reason=reason)
    levels = [one for night in past if (one := night.level_ns) is not None]
    recent, first = (_judged(part, level) for part in (levels[-_LONGEST_PAST:], levels[:_LONGEST_PAST]))
    within = _judge_moved([one for night in past if (one := night.moved) is not None], moved)
    kind, reason, change = _verdict(recent, first, within)
    return DeviceVerdict(
        device_id=device_id,
        kind=kind,
        reason=reason,
        change=change,
        moved=None if moved is None else moved - 1.0,
    )


def _judged(past: Sequence[float], now: float) -> SentinelVerdict:
    """Judge a figure by past ones, of which the oddest are drawn in (Winsor)."""
    if not past:
        return judge_sentinel(past, now)
    logs = np.log(past)
    centre = float(np.median(logs))
    reach = _USUAL_DEVIATIONS * robust_deviation(logs, centre)
    return judge_sentinel(np.exp(np.clip(logs, centre - reach, centre + reach)).tolist(), now)


def _judge_moved(past: Sequence[float], moved: float | None) -> str:
    """Return the sentence that says how the sentinel moved within the session, "" where it did not."""
    if moved is None:
        return ""
    words = f"its sentinel ended {abs(moved - 1.0):.1%} {'slower' if moved > 1.0 else 'faster'} than it began"
    if len(past) < LEAST_SESSIONS:
        return f"{words}; more than {MOST_MOVED:.0%} is not steady" if abs(math.log(moved)) > MOST_MOVED else ""
    usual = _judged(past[-_LONGEST_PAST:], moved)
    if usual.kind != "drifted" or abs(math.log(moved)) <= MOST_MOVED:
        return ""
    return f"{words}, unlike in {min(len(past), _LONGEST_PAST)} past nights ({usual.allowed:.1%} could be chance)"


def _verdict(
    recent: SentinelVerdict, first: SentinelVerdict, within: str
) -> tuple[DeviceVerdictKind, str, float | None]:
    if within:
        return DeviceVerdictKind.MOVED, within, recent.change
    if recent.kind == "drifted":
        return DeviceVerdictKind.DRIFTED, recent.reason, recent.change
    if first.kind == "drifted":
        return DeviceVerdictKind.DRIFTED, f"slowly, {first.reason}", first.change
    kind = DeviceVerdictKind.UNKNOWN if recent.kind == "unknown" else DeviceVerdictKind.STEADY
    return kind, recent.reason, recent.change
