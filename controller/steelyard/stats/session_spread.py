"""How much the sessions of one device differ from each other: what no interval of a single session can see."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.stats.estimate import Estimate
from steelyard.stats.serial import variance_inflation
from steelyard.stats.student import t_quantile

# What is believed of a device before its own sessions say more: sessions of seconds on one machine differed by 1.2 % in
# p50 over twenty minutes (standard deviation, three models), while the rounds of a session differed by 0.9 %. A series
# that was measured rarely is believed to differ as the device's other series do. Each belief weighs as much as so many
# degrees of freedom. docs/decisions/0019-sessions-differ.md.
_BELIEVED_DEVIATION, _BELIEF_DEGREES = 0.01, 2.0
# Sessions that follow each other resemble each other as rounds do (correlations of 0.3 to 0.5 were seen): so many of
# them say as much as one that is independent.
_SESSIONS_TO_ONE = variance_inflation(0.5)
_MOST_LOG = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFigure:
    """A figure (p50 in ns, say) of one earlier session; ``series`` names what was measured and how.

    ``generation`` tells a device from those whose place it took: their levels differ, their spreads say the same.
    """

    series: str
    value: float
    generation: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no logarithm."""
        if not (math.isfinite(self.value) and self.value > 0.0):
            raise ValueError(f"a session's figure is above 0, not {self.value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpread:
    """The standard deviation of a figure's logarithm between sessions, and the degrees of freedom that it rests on.

    ``session_count`` is how many earlier sessions of the device told it.
    """

    deviation: float
    degrees: float
    session_count: int

    def half_width(self, confidence: float) -> float:
        """Return half the width, on the log scale, of an interval for one session's place among all of them."""
        return t_quantile(0.5 + confidence / 2.0, self.degrees) * self.deviation


def session_spread(sessions: Iterable[SessionFigure], series: str) -> SessionSpread:
    """Return how much sessions of ``series`` differ, from the earlier sessions of the device.

    What ISO 5725-3 calls intermediate precision: the variance between the sessions of one series, corrected for how
    much sessions resemble their neighbours, drawn towards that of the device's series in all, and that towards 1 %.
    """
    by_series: dict[tuple[str, int], list[float]] = {}
    for one in sessions:
        by_series.setdefault((one.series, one.generation), []).append(math.log(one.value))
    pooled = _drawn(by_series.values(), _BELIEVED_DEVIATION**2)
    own = [values for (name, _), values in by_series.items() if name == series]
    return SessionSpread(
        deviation=math.sqrt(_drawn(own, pooled)),
        degrees=sum(map(_degrees, own)) + 2 * _BELIEF_DEGREES,
        session_count=sum(len(values) for values in by_series.values()),
    )


def no_narrower(estimate: Estimate, spread: SessionSpread | None) -> Estimate:
    """Return the estimate with an interval that is at least as wide as one session's place among the device's sessions.

    Estimates without an interval, and everything where ``spread`` is None, stay as they are.
    """
    value, low, high = estimate.value, estimate.low, estimate.high
    if spread is None or value is None or low is None or high is None or value <= 0.0:
        return estimate
    factor = math.exp(min(spread.half_width(estimate.confidence), _MOST_LOG - math.log(max(value, 1.0))))
    return replace(estimate, low=min(low, value / factor), high=max(high, value * factor))


def no_narrower_each(figures: Mapping[str, Estimate], spreads: Mapping[str, SessionSpread]) -> dict[str, Estimate]:
    """Return the figures by metric, each no narrower than its spread allows."""
    return {metric: no_narrower(estimate, spreads.get(metric)) for metric, estimate in figures.items()}


def _drawn(series: Iterable[Sequence[float]], believed: float) -> float:
    """Return the pooled variance within the series, drawn towards ``believed``.

    Of n values of which three say as much as one, the squares around their own mean sum to (n - 3) variances.
    """
    total, degrees = _BELIEF_DEGREES * believed, _BELIEF_DEGREES
    for values in series:
        if _degrees(values):
            total += float(np.var(values)) * len(values) / _SESSIONS_TO_ONE
            degrees += _degrees(values)
    return total / degrees


def _degrees(values: Sequence[float]) -> float:
    return max(0.0, len(values) / _SESSIONS_TO_ONE - 1.0)
