"""From values to pixels: linear and logarithmic scales with round tick marks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from steelyard.stats.formatting import format_value

# An axis whose ends are farther apart than this is logarithmic: below it a linear one is read more easily.
_LOG_FROM_RATIO = 8.0
# No figure spans more, and a larger ratio may have no float.
_MOST_RATIO = 1e100
_LEAST_TICKS = 3
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB")
_LOG_MANTISSAS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps ``low``..``high`` to ``start``..``end`` px (which may run backwards)."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __post_init__(self) -> None:
        """Refuse a range that is empty or that a logarithm cannot show."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a scale from {self.low!r} to {self.high!r} shows nothing")
        if self.is_log and self.low <= 0:
            raise ValueError(f"a logarithmic scale cannot begin at {self.low!r}")

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; what lies outside stays outside by at most a tenth of the axis."""
        low, high = (math.log(self.low), math.log(self.high)) if self.is_log else (self.low, self.high)
        at = math.log(max(value, self.low / 10)) if self.is_log else value
        share = min(1.1, max(-0.1, (at - low) / (high - low)))
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5, *, unit_size: float = 1.0) -> tuple[float, ...]:
        """Return about ``count`` values within the scale that are round when counted in ``unit_size``."""
        low, high = self.low / unit_size, self.high / unit_size
        ticks = _log_ticks(low, high, count) if self.is_log and high / low >= _LOG_FROM_RATIO / 2 else ()
        if len(ticks) < _LEAST_TICKS:
            # A round step may be so much coarser than asked for that a single tick is left, which tells no scale.
            tries = (_linear_ticks(low, high, more) for more in range(count, 3 * count + 4))
            ticks = next((ticks for ticks in tries if len(ticks) >= _LEAST_TICKS), ())
        return tuple(tick * unit_size for tick in ticks)


def fitted(values: Iterable[float], *, start: float, end: float, padding: float = 0.06, least: float = 0.04) -> Scale:
    """Return a scale around positive values, logarithmic when their range is wide.

    Args:
        values: finite and above 0; those that are not are left out.
        start: pixel of the low end.
        end: pixel of the high end.
        padding: share of the range that is left free at both ends.
        least: the least range, as a share of the largest value: noise must not look like a difference.
    """
    kept = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    high = max(kept)
    # What is smaller still is drawn below the scale; the ratio of a subnormal number has no float.
    low = max(min(kept), high / _MOST_RATIO)
    if high / low > _LOG_FROM_RATIO:
        margin = (high / low) ** padding
        return Scale(low=low / margin, high=high * margin, start=start, end=end, is_log=True)
    room = max(0.0, least * high - (high - low)) / 2 + padding * max(high - low, least * high)
    return Scale(low=max(0.0, low - room), high=high + room, start=start, end=end)


def from_zero(values: Iterable[float], *, start: float, end: float) -> Scale:
    """Return a linear scale from 0 to the largest value: for bars, whose length is what is read."""
    highest = max((value for value in values if math.isfinite(value)), default=0.0)
    return Scale(low=0.0, high=highest if highest > 0 else 1.0, start=start, end=end)


def unit_size(scale: Scale, unit: str) -> float:
    """Return what ticks are counted in: MiB rather than millions of bytes; 1 for units of tens."""
    if unit != "B":
        return 1.0
    return 1024.0 ** min(len(_BYTE_UNITS) - 1, int(math.log(max(1.0, scale.high), 1024)))


def tick_text(value: float, unit: str, size: float = 1.0) -> str:
    """Return a tick's value without the digits that say nothing: "1.2 ms", not "1.20 ms".

    Bytes are counted in ``size`` whatever the value, so that an axis has one unit.
    """
    if unit == "B":
        return f"{value / size:.4g} {_BYTE_UNITS[round(math.log(size, 1024))]}"
    number, gap, suffix = format_value(value, unit).partition(" ")
    tail = "x" if number.endswith("x") else ""
    number = number.removesuffix("x")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number}{tail}{gap}{suffix}"


def _linear_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((size * power for size in (1.0, 2.0, 2.5, 5.0) if size * power >= rough * 0.999), 10.0 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _log_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks: list[float] = []
    for mantissas in _LOG_MANTISSAS:
        all_ticks = (mantissa * 10.0**power for power in range(first, last + 1) for mantissa in mantissas)
        ticks = [tick for tick in all_ticks if low <= tick <= high]
        if len(ticks) <= count + 1:
            return tuple(ticks)
    return tuple(ticks[:: math.ceil(len(ticks) / count)])
