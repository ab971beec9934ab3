"""How long to wait before the next dial."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

# A herd of agents that lost one controller must not come back in one moment: full jitter spreads them over the whole
# interval. (Exponential Backoff And Jitter, AWS Architecture Blog, 2015.)


def _random() -> float:
    # The module random brings hashlib and more, which an agent that idles does not hold.
    return int.from_bytes(os.urandom(6), "big") / 2**48


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Full jitter: uniform between 0 and a bound that doubles with every failure up to a cap."""

    base_s: float = 1.0
    cap_s: float = 10.0
    draw: Callable[[], float] = _random

    def __post_init__(self) -> None:
        """Refuse bounds that would never let anybody wait, or wait for ever."""
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"back-off from {self.base_s} s to {self.cap_s} s makes no sense")

    def delay_s(self, failure_count: int) -> float:
        """Return the seconds to wait after this many failures in a row (1 or more)."""
        # The exponent is bounded so that a week of failures does not overflow.
        return min(self.cap_s, self.base_s * 2.0 ** min(failure_count - 1, 32)) * self.draw()
