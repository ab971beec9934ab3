"""When to sample, so that a load with a period of its own is seen in all of its phases. Pure.

A load that repeats with the sampler's period is always seen at the same place when samples are evenly spaced. Evenly
random intervals cure that, but their error shrinks only with the square root of the number of samples. Here two
intervals follow each other in the order of the multiples of the golden ratio, whose fractions lie most evenly at every
length (Niederreiter, Random Number Generation and Quasi-Monte Carlo Methods, 1992). Both are a little longer than the
plain sequence has them, and then scaled, so that which interval comes next does not go with the phase of a load that
repeats with the mean one. Simulated figures: docs/energy.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

_GOLDEN = (sqrt(5) - 1) / 2
_LONGER = _GOLDEN**5
SHORT_INTERVAL = (_GOLDEN + _LONGER) / (1 + _LONGER)
LONG_INTERVAL = (1 + _GOLDEN + _LONGER) / (1 + _LONGER)


def intervals(start: float) -> Iterator[float]:
    """Yield intervals in periods, without end, in the mean one; ``start``, 0 to 1, is where the sequence begins."""
    phase = start % 1.0
    while True:
        phase += _GOLDEN
        if phase < 1:
            yield LONG_INTERVAL
        else:
            phase -= 1
            yield SHORT_INTERVAL
