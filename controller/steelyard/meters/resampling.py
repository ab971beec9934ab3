"""Power over time and load over time as means over equal bins: what a correlation compares. Pure.

A mean over a bin is the difference of two integrals, so that a fast meter's noise is averaged away and a slow one's
values are joined by straight lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class PowerCurve:
    """Power between samples as straight lines, and its integral."""

    def __init__(self, times_ns: NDArray[np.int64], power_w: NDArray[np.float64]) -> None:
        """Take int64 [N >= 2] rising times and float64 [N] powers."""
        self.first_ns, self.last_ns = int(times_ns[0]), int(times_ns[-1])
        # Relative times: a clock of days in ns has no fractions left in a float64.
        self._times = (times_ns - self.first_ns).astype(np.float64)
        self._power = power_w
        areas = np.diff(self._times) * (power_w[1:] + power_w[:-1]) / 2
        self._until = np.concatenate([[0.0], np.cumsum(areas)])

    def integral(self, at_ns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the integral (W ns) from the first sample until times relative to it; beyond the ends power stays."""
        inside = np.clip(at_ns, 0.0, self._times[-1])
        after = np.clip(np.searchsorted(self._times, inside), 1, self._times.size - 1)
        passed = inside - self._times[after - 1]
        slope = (self._power[after] - self._power[after - 1]) / (self._times[after] - self._times[after - 1])
        total = self._until[after - 1] + passed * (self._power[after - 1] + slope * passed / 2)
        return np.asarray(
            total + np.minimum(at_ns, 0.0) * self._power[0] + np.maximum(at_ns - self._times[-1], 0.0) * self._power[-1]
        )

    def bins(self, start_ns: float, step_ns: float, count: int) -> NDArray[np.float64]:
        """Return the mean power, float64 [count], of bins from ``start_ns`` of the controller's clock."""
        edges = np.asarray(start_ns - self.first_ns + step_ns * np.arange(count + 1), dtype=np.float64)
        return np.diff(self.integral(edges)) / step_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCurve:
    """Load (1) and rest (0) as the device ran them; ``turns_ns`` are relative to ``start_ns`` of the device's clock."""

    start_ns: int
    length_ns: float
    turns_ns: NDArray[np.float64]

    @classmethod
    def of_marker(cls, edges_ns: Sequence[int], window_start_ns: int, window_end_ns: int) -> LoadCurve:
        """Return the marker with a rest before it and the beginning of the window after it, a pulse long each."""
        pulse_ns = edges_ns[1] - edges_ns[0]
        start_ns, end_ns = edges_ns[0] - pulse_ns, min(window_start_ns + pulse_ns, window_end_ns)
        turns = np.array([*edges_ns, window_start_ns, end_ns], dtype=np.int64) - start_ns
        return cls(start_ns=start_ns, length_ns=float(end_ns - start_ns), turns_ns=turns.astype(np.float64))

    def bins(self, shift_ns: float, step_ns: float) -> NDArray[np.float64]:
        """Return the share of load in each whole bin of the template, moved ``shift_ns`` to the left."""
        count = int(self.length_ns / step_ns)
        edges = shift_ns + step_ns * np.arange(count + 1)
        # Load until a time: it grows within pulses (even turn to odd turn) and stands still between them.
        grown = np.diff(self.turns_ns, prepend=0.0)
        until = np.cumsum(np.where(np.arange(self.turns_ns.size) % 2 == 1, grown, 0.0))
        turns, load = np.concatenate([[0.0], self.turns_ns]), np.concatenate([[0.0], until])
        return np.asarray(np.diff(np.interp(edges, turns, load)) / step_ns, dtype=np.float64)
