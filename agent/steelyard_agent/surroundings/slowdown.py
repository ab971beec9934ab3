"""Latency that rises within a block: what throttling looks like from inside. A hint, see ``verdict``."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from steelyard_agent.surroundings.contract import Weighed

# The last quarter's median above the first's by more than this.
SLOWDOWN_LIMIT = 0.05
# Quarters of five: below that a median is one hiccup away from any value.
LEAST_SAMPLES = 20


def weigh_slowdown(latency_ns: Sequence[int]) -> Weighed:
    """Return the hint that samples (nanoseconds, in order) got slower from the first quarter to the last."""
    if len(latency_ns) < LEAST_SAMPLES:
        return Weighed()
    quarter = len(latency_ns) // 4
    first, last = median(latency_ns[:quarter]), median(latency_ns[-quarter:])
    rise = last / first - 1 if first > 0 else 0.0
    if rise <= SLOWDOWN_LIMIT:
        return Weighed()
    return Weighed(hints=(f"latency rose by {100 * rise:.0f} % from the first quarter of the samples to the last",))
