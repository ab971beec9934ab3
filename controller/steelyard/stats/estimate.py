"""An estimate: a figure with its interval, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure, its two-sided interval at ``confidence``, and how many observations the interval is over.

    ``unit`` is what ``value`` is counted in: "ns", "B", "ratio", "fraction" (accuracy, 0 to 1), "pp" (an accuracy drop
    in percentage points), "J", "dB", "number" for what has no unit. ``value`` is None when nothing is known; ``low``
    and ``high`` are None when there is no interval. In both cases ``reason`` says why.
    """

    value: float | None
    low: float | None
    high: float | None
    confidence: float
    unit: str
    observation_count: int
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse an estimate that contradicts itself."""
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(f"a confidence lies between 0 and 1, not {self.confidence!r}")
        if not self.unit or self.observation_count < 0:
            raise ValueError(f"an estimate in {self.unit!r} over {self.observation_count} observations makes no sense")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"an interval has two ends or none, not {self.low!r} to {self.high!r}")
        if not self.has_interval and not self.reason:
            raise ValueError("an estimate without a value or without an interval says why")
        self._check_order()

    def _check_order(self) -> None:
        if self.value is None:
            if self.low is not None:
                raise ValueError(f"an interval ({self.low!r} to {self.high!r}) needs a value")
            return
        numbers = [self.value] if self.low is None or self.high is None else [self.low, self.value, self.high]
        if not all(map(math.isfinite, numbers)) or numbers != sorted(numbers):
            raise ValueError(f"low <= value <= high, all finite, does not hold for {numbers!r}")

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return self.low is not None and self.high is not None

    @property
    def relative_half_width(self) -> float | None:
        """Half the width of the interval over the size of the value; None where that is not defined."""
        if self.value is None or self.low is None or self.high is None or self.value == 0.0:
            return None
        return (self.high - self.low) / 2.0 / abs(self.value)


def unknown(unit: str, reason: str, *, confidence: float = 0.95, observation_count: int = 0) -> Estimate:
    """Return the estimate that stands where nothing is known."""
    return Estimate(
        value=None,
        low=None,
        high=None,
        confidence=confidence,
        unit=unit,
        observation_count=observation_count,
        reason=reason,
    )


def negated(estimate: Estimate) -> Estimate:
    """Return the estimate turned round, for a figure of which less is better where more is expected."""
    if estimate.value is None:
        return estimate
    has_ends = estimate.low is not None and estimate.high is not None
    low, high = (-estimate.high, -estimate.low) if has_ends else (None, None)  # type: ignore[operator]
    return replace(estimate, value=-estimate.value, low=low, high=high)


def exact(value: float, unit: str, *, confidence: float = 0.95) -> Estimate:
    """Return the estimate of something that has no uncertainty: the size of a file."""
    return Estimate(value=value, low=value, high=value, confidence=confidence, unit=unit, observation_count=1)
