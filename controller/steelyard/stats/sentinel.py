"""Whether a device still measures a frozen model as it used to: drift of the device, not of any model of yours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from steelyard.stats.student import t_quantile
from steelyard.stats.thresholds import percent

# Below this nobody would act on it, however surely it is there.
LEAST_CHANGE = 0.03
# With fewer past sessions the belief decides alone, and a night that differs says nothing.
LEAST_SESSIONS = 5
_CONFIDENCE = 0.99
# As for sessions of one device: docs/decisions/0019-sessions-differ.md.
_BELIEVED_DEVIATION, _BELIEF_DEGREES = 0.01, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelVerdict:
    """What a sentinel's session says of its device.

    ``change`` is relative to the past sessions (0.05: 5 % slower), None where nothing can be said; a new session of a
    device that did not change lies within ``allowed`` of 0. ``reason`` is one sentence.
    """

    kind: Literal["steady", "drifted", "unknown"]
    reason: str
    change: float | None = None
    allowed: float | None = None


def judge_sentinel(past: Sequence[float], now: float, *, confidence: float = _CONFIDENCE) -> SentinelVerdict:
    """Compare a figure of the sentinel (p50 in ns, say) with those of the device's past sessions.

    A prediction interval for one more session on the log scale (Hahn and Meeker, Statistical Intervals, 4.7), whose
    deviation is no smaller than what sessions of one device usually differ by makes likely; a change below 3 % is never
    called drift.

    Raises:
        ValueError: A figure is not above 0.
    """
    if any(not (math.isfinite(value) and value > 0.0) for value in (*past, now)):
        raise ValueError(f"a sentinel's figures are above 0, not {now!r} after {list(past)!r}")
    if len(past) < LEAST_SESSIONS:
        return SentinelVerdict(
            kind="unknown", reason=f"{len(past)} past sessions of the sentinel are too few; {LEAST_SESSIONS} tell"
        )
    logs = [math.log(value) for value in past]
    mean = math.fsum(logs) / len(logs)
    squares = math.fsum((value - mean) ** 2 for value in logs)
    degrees = len(logs) - 1
    drawn = (squares + _BELIEF_DEGREES * _BELIEVED_DEVIATION**2) / (degrees + _BELIEF_DEGREES)
    # The belief widens only: a device whose nights differ by 3 % was called drifted in 1.8 % of them otherwise.
    deviation = math.sqrt(max(squares / degrees, drawn))
    half_width = t_quantile(0.5 + confidence / 2.0, degrees) * deviation * math.sqrt(1.0 + 1.0 / len(logs))
    change = math.expm1(math.log(now) - mean)
    allowed = max(LEAST_CHANGE, math.expm1(half_width))
    if abs(math.log1p(change)) <= math.log1p(allowed):
        reason = f"its sentinel is within {percent(allowed)} of its {len(past)} past sessions ({100 * change:+.1f} %)"
        return SentinelVerdict(kind="steady", reason=reason, change=change, allowed=allowed)
    word = "slower" if change > 0 else "faster"
    reason = (
        f"its sentinel is {percent(abs(change))} {word} than in its {len(past)} past sessions, where "
        f"{percent(allowed)} could be chance"
    )
    return SentinelVerdict(kind="drifted", reason=reason, change=change, allowed=allowed)
