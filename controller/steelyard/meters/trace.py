"""What a meter said over a while, as arrays: gathered sample by sample, stored as a message, read back for analysis."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.meters.contract import MeterFacts, MeterSample
from steelyard_protocol.v1 import common_pb2, control_pb2

# 5.8 hours at 50 samples a second, 24 MB of memory.
MAX_SAMPLE_COUNT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Samples of one meter on the controller's monotonic clock.

    ``times_ns`` is int64 [N] and rises; ``power_w`` and ``energy_j`` are float64 [N], or empty where the meter does not
    tell that.
    """

    times_ns: NDArray[np.int64]
    power_w: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    power_resolution_w: float | None = None
    energy_resolution_j: float | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        count = self.times_ns.size
        if self.power_w.size not in (0, count) or self.energy_j.size not in (0, count):
            raise ValueError(f"{self.power_w.size} powers and {self.energy_j.size} counts at {count} times")
        if count > 1 and bool(np.any(np.diff(self.times_ns) <= 0)):
            raise ValueError("the times of a trace rise")

    @property
    def period_ns(self) -> float:
        """Return the typical time between two samples; 0 below two of them."""
        return float(np.median(np.diff(self.times_ns))) if self.times_ns.size > 1 else 0.0


class TraceBuilder:
    """Gathers samples in bounded memory. One thread writes; ``message`` may be called once that has ended."""

    def __init__(self, *, max_sample_count: int = MAX_SAMPLE_COUNT) -> None:
        self._times_ns, self._power_w, self._energy_j = array("q"), array("d"), array("d")
        self._max_sample_count = max_sample_count
        self.is_full = False

    def __len__(self) -> int:
        return len(self._times_ns)

    def add(self, samples: Iterable[MeterSample]) -> None:
        """Append samples; one that does not rise in time is dropped, and all once the trace is full."""
        for sample in samples:
            if len(self._times_ns) >= self._max_sample_count:
                self.is_full = True
                return
            if self._times_ns and sample.time_ns <= self._times_ns[-1]:
                continue
            self._times_ns.append(sample.time_ns)
            self._power_w.append(np.nan if sample.power_w is None else sample.power_w)
            self._energy_j.append(np.nan if sample.energy_j is None else sample.energy_j)

    def message(
        self, *, meter: str, facts: MeterFacts | None, blocks: Iterable[control_pb2.HeardBlock], reason: str
    ) -> control_pb2.MeterTrace:
        """Return what was gathered. A value that is missing now and then makes that whole column missing."""
        times = np.frombuffer(self._times_ns, dtype=np.int64) if self._times_ns else np.empty(0, np.int64)
        trace = control_pb2.MeterTrace(
            meter=meter,
            start_ns=int(times[0]) if times.size else 0,
            step_ns=np.diff(times).tolist(),
            power_w=_whole(self._power_w),
            energy_j=_whole(self._energy_j),
            blocks=blocks,
            reason=reason,
        )
        if facts is not None:
            trace.description = facts.description
            trace.scope = common_pb2.ReadingScope.Value(f"READING_SCOPE_{facts.scope.value}")
            trace.rate_hz = 1 / facts.period_s
            if facts.power_resolution_w is not None:
                trace.power_resolution_w = facts.power_resolution_w
            if facts.energy_resolution_j is not None:
                trace.energy_resolution_j = facts.energy_resolution_j
        return trace


def trace_of(message: control_pb2.MeterTrace) -> Trace:
    """Return the arrays of a stored trace.

    Raises:
        ValueError: they do not belong together.
    """
    power, energy = np.array(message.power_w, np.float64), np.array(message.energy_j, np.float64)
    steps = np.array(message.step_ns, np.int64)
    times = message.start_ns + np.concatenate([np.zeros(1, np.int64), np.cumsum(steps)])
    return Trace(
        times_ns=times if power.size or energy.size else times[:0],
        power_w=power,
        energy_j=energy,
        power_resolution_w=message.power_resolution_w if message.HasField("power_resolution_w") else None,
        energy_resolution_j=message.energy_resolution_j if message.HasField("energy_resolution_j") else None,
    )


def _whole(values: array[float]) -> list[float]:
    found = np.frombuffer(values, dtype=np.float64) if values else np.empty(0)
    return [] if bool(np.any(np.isnan(found))) else found.tolist()
