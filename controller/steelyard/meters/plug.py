"""What plugs that are asked over HTTP have in common: one question a sample, nothing held open between."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.meters.contract import MeterFacts, MeterSample, Scope

PERIOD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """A plug at the wall.

    ``ask`` returns its status; ``sample_of`` makes the sample of a status and its CLOCK_MONOTONIC nanoseconds. The
    resolutions are the steps in which the plug tells power (W) and its counter (J). Both raise MeterError.
    """

    description: str
    ask: Callable[[], object]
    sample_of: Callable[[object, int], MeterSample]
    power_resolution_w: float
    energy_resolution_j: float
    clock_ns: Callable[[], int] = time.monotonic_ns

    def open(self) -> MeterFacts:
        """Read it once."""
        has_counter = self._sample().energy_j is not None
        return MeterFacts(
            description=self.description,
            scope=Scope.WALL,
            period_s=PERIOD_S,
            power_resolution_w=self.power_resolution_w,
            energy_resolution_j=self.energy_resolution_j if has_counter else None,
        )

    def read(self) -> Sequence[MeterSample]:
        """Ask for the present power and the counter."""
        return (self._sample(),)

    def close(self) -> None:
        """Nothing is held open."""

    def _sample(self) -> MeterSample:
        """Ask once; the sample is stamped in the middle of the question."""
        before_ns = self.clock_ns()
        status = self.ask()
        return self.sample_of(status, (before_ns + self.clock_ns()) // 2)
