"""Durations for sentences that a reader should see once for many rounds: rounded up so that rounds say the same."""

from __future__ import annotations

from math import ceil, floor, log10

_NS_PER_MS = 1e6


def rough_ms(duration_ns: float, steps: tuple[int, ...] = (1, 2, 5)) -> str:
    """Return about how long it is, in milliseconds: "0.02 ms" for 13 us; what is shorter than 1 us is "0.001 ms".

    It is rounded up to one of ``steps`` times a power of ten.
    """
    duration_ms = max(duration_ns, 1000.0) / _NS_PER_MS
    scale = 10.0 ** floor(log10(duration_ms) + 1e-9)
    leading = ceil(duration_ms / scale - 1e-9)
    step = next(one for one in (*steps, 10) if leading <= one)
    return f"{step * scale:g} ms"
