"""Figures as people read them: three significant digits and a unit that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.stats.estimate import Estimate

_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "ns": ((1.0, " ns"), (1e3, " us"), (1e6, " ms"), (1e9, " s")),
    "B": ((1.0, " B"), (1024.0, " KiB"), (1024.0**2, " MiB"), (1024.0**3, " GiB")),
    "J": ((1e-9, " nJ"), (1e-6, " uJ"), (1e-3, " mJ"), (1.0, " J"), (1e3, " kJ")),
    "W": ((1e-6, " uW"), (1e-3, " mW"), (1.0, " W"), (1e3, " kW")),
    "ratio": ((1.0, "x"),),
    "1/s": ((1.0, "/s"),),
    "count": ((1.0, ""), (1e3, " k"), (1e6, " M"), (1e9, " G"), (1e12, " T")),
    "MAC/s": ((1.0, " MAC/s"), (1e6, " MMAC/s"), (1e9, " GMAC/s"), (1e12, " TMAC/s")),
    "B/s": ((1.0, " B/s"), (1e6, " MB/s"), (1e9, " GB/s"), (1e12, " TB/s")),
    "fraction": ((0.01, " %"),),
    "pp": ((1.0, " pp"),),
    "number": ((1.0, ""),),
}
# An interval that would show twice the same figure gets up to two more digits.
_MORE_DECIMALS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    divisor: float
    suffix: str
    decimals: int

    def number(self, value: float) -> str:
        # Adding 0.0 turns a negative zero into a plain one.
        return f"{round(value / self.divisor, self.decimals) + 0.0:.{self.decimals}f}"


def format_value(value: float, unit: str) -> str:
    """Return ``value``, counted in ``unit``, for people: "1.23 ms", "412 KiB", "91.3 %", "0.4 pp", "1.84x", "3.20 mJ".

    Accuracies ("fraction") and drops ("pp") have one decimal; everything else has three significant digits.
    """
    scale = _scale(value, unit)
    return scale.number(value) + scale.suffix


def format_estimate(estimate: Estimate) -> str:
    """Return an estimate for people: "21.3 ms (20.9 to 21.8)", or why there is no figure or no interval."""
    if estimate.value is None:
        return f"not known ({estimate.reason})"
    if estimate.low is None or estimate.high is None:
        return f"{format_value(estimate.value, estimate.unit)} ({estimate.reason})"
    if estimate.low == estimate.high:
        return format_value(estimate.value, estimate.unit)
    scale = _interval_scale(estimate.value, estimate.low, estimate.high, estimate.unit)
    suffix = scale.suffix if scale.suffix == "x" else ""
    low, value, high = (scale.number(one) for one in (estimate.low, estimate.value, estimate.high))
    return f"{value}{scale.suffix} ({low}{suffix} to {high}{suffix})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnScale:
    """One unit for a whole column of figures: ``unit`` is "ms", "%", "x", "" for a mere number."""

    divisor: float
    unit: str

    @classmethod
    def of(cls, values: Sequence[float], unit: str) -> ColumnScale:
        """Return the unit that fits the median of ``values``, which are counted in ``unit``."""
        middle = sorted(map(abs, values))[len(values) // 2] if values else 0.0
        scale = _scale(middle, unit)
        return cls(divisor=scale.divisor, unit=scale.suffix.strip())

    def number(self, value: float) -> str:
        """Return a value in this unit, with three significant digits."""
        decimals = _decimals(value / self.divisor, f" {self.unit}")
        return _Scale(divisor=self.divisor, suffix="", decimals=decimals).number(value)

    def interval(self, value: float, low: float, high: float) -> tuple[str, str, str]:
        """Return a value and the ends of its interval, with as many digits as tell the ends apart."""
        decimals = _decimals(value / self.divisor, f" {self.unit}")
        scale = _told_apart(_Scale(divisor=self.divisor, suffix="", decimals=decimals), low, high)
        return scale.number(value), scale.number(low), scale.number(high)


def _interval_scale(value: float, low: float, high: float, unit: str) -> _Scale:
    return _told_apart(_scale(value, unit), low, high)


def _told_apart(scale: _Scale, low: float, high: float) -> _Scale:
    for extra in range(_MORE_DECIMALS + 1):
        finer = _Scale(divisor=scale.divisor, suffix=scale.suffix, decimals=scale.decimals + extra)
        if finer.number(low) != finer.number(high):
            break
    return finer


def _scale(value: float, unit: str) -> _Scale:
    steps = _SCALES.get(unit, ((1.0, f" {unit}"),))
    smallest = steps[0] if value else min(steps, key=lambda step: abs(step[0] - 1.0))
    # Rounded first: 999.6 us is 1.00 ms, not 1000 us.
    fitting = (step for step in reversed(steps) if _three_digits(abs(value) / step[0]) >= 1.0)
    divisor, suffix = next(fitting, smallest)
    return _Scale(divisor=divisor, suffix=suffix, decimals=_decimals(value / divisor, suffix))


def _decimals(number: float, suffix: str) -> int:
    size = abs(number)
    if suffix == " %":
        # 99.96 % is not everything.
        return 2 if 99.95 <= size < 100.0 else 1
    if suffix == " pp":
        return 2 if 0.005 <= size < 0.095 else 1
    if size == 0.0 or suffix == " B":
        return 0
    return max(0, 2 - math.floor(math.log10(_three_digits(size))))


def _three_digits(size: float) -> float:
    return float(f"{size:.3g}")
