"""What a made-up device really used: joules over time, known to its own thread's steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from steelyard_protocol.v1 import result_pb2

# A reader comes this long after the edge of a window that it reads for, at most.
_LATE_NS = 300_000_000


class PowerTruth:
    """Energy until each of many times of this machine's monotonic clock; a thread adds while others read."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, float]] = []

    def add(self, time_ns: int, energy_j: float) -> None:
        """Append what was used until then."""
        self._steps.append((time_ns, energy_j))

    def energy_j(self, window: result_pb2.EnergyWindow) -> float:
        """Return the energy of a window."""
        times, joules = zip(*tuple(self._steps), strict=True)
        return float(np.diff(np.interp([window.start_ns, window.end_ns], times, joules))[0])

    def mean_w(self, window: result_pb2.EnergyWindow) -> float:
        """Return the mean power of a window."""
        return self.energy_j(window) / (window.end_ns - window.start_ns) * 1e9

    def doubt_j(self, window: result_pb2.EnergyWindow) -> float:
        """Return by how much a reader may rightly be off: what it sees is a step old, and steps can be late."""
        return sum(self._widest_step_j(edge) for edge in (window.start_ns, window.end_ns))

    def _widest_step_j(self, edge_ns: int) -> float:
        near = (
            high - low
            for (begun, low), (ended, high) in pairwise(tuple(self._steps))
            if ended >= edge_ns - _LATE_NS and begun <= edge_ns + _LATE_NS
        )
        return max(near, default=0.0)
