"""Durations for sentences that a reader sees once for many rounds: rounded up to 1, 2 or 5 times a power of ten."""

from __future__ import annotations

from math import ceil, floor, log10

_NS_PER_MS = 1e6


def rough_ms(duration_ns: float) -> str:
    """Return about how long it is, in milliseconds: "0.02 ms" for 13 us; what is shorter than 1 us is "0.001 ms"."""
    duration_ms = max(duration_ns, 1000.0) / _NS_PER_MS
    scale = 10.0 ** floor(log10(duration_ms) + 1e-9)
    leading = ceil(duration_ms / scale - 1e-9)
    step = next(one for one in (1, 2, 5, 10) if leading <= one)
    return f"{step * scale:g} ms"
