"""When to sample, so that a load with a period of its own is seen in all of its phases. Pure.

A load that repeats with the sampler's period is always seen at the same place when samples are evenly spaced. Evenly
random intervals cure that, but leave an error that shrinks only with the square root of the number of samples. Here
sample k falls at (k + frac(u + k g)) periods, where g is the golden ratio's 0.618...: the sequence whose values lie
most evenly at every length (Niederreiter, Random Number Generation and Quasi-Monte Carlo Methods, 1992). Intervals are
0.618 and 1.618 periods, in the mean one. Simulated figures: docs/energy.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

GOLDEN_FRACTION = (sqrt(5) - 1) / 2


def intervals(start: float) -> Iterator[float]:
    """Yield intervals in periods, without end; ``start`` is where in the sequence to begin, 0 to 1."""
    phase = start % 1.0
    while True:
        phase += GOLDEN_FRACTION
        if phase < 1:
            yield 1 + GOLDEN_FRACTION
        else:
            phase -= 1
            yield GOLDEN_FRACTION
