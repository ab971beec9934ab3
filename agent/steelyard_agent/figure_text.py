"""Figures for people: with a unit, and with their spread over launches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median


def known(values: Iterable[int | None]) -> list[float]:
    """Return the values that there are."""
    return [value for value in values if value is not None]


def spread_text(values: Sequence[float], show: Callable[[float], str]) -> str:
    """Return "median (lowest to highest)" of what launches told, the median alone where both look alike."""
    if not values:
        return "not told by this system"
    middle, low, high = show(median(values)), show(min(values)), show(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def duration_text(duration_ns: float) -> str:
    """Return a duration with three significant digits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if duration_ns >= size:
            return (
                f"{duration_ns / size:.3g} {unit}" if duration_ns < 1000 * size else f"{duration_ns / size:.0f} {unit}"
            )
    return f"{duration_ns:.0f} ns"


def bytes_text(size_bytes: float) -> str:
    """Return a size in the largest binary unit that it fills."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes:.0f} B"
