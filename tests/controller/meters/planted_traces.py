"""A device with a planted clock and load, and what a meter beside it would say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.meters.alignment import Marker
from steelyard.meters.trace import Trace
from steelyard_protocol.v1 import control_pb2, result_pb2

MS = 1_000_000
S = 1_000_000_000
REST_W, LOAD_W = 3.0, 8.0


@dataclass(frozen=True, kw_only=True)
class Device:
    """Load over the device's own clock: warm-up, marker, window, idle. ``offset_ns`` leads to the controller's."""

    offset_ns: int = 123_456_789_012_345
    start_ns: int = 5_000 * S
    pulse_ms: int = 200
    pulse_count: int = 4
    warm_ms: int = 1500
    window_ms: int = 10_000
    rest_w: float = REST_W
    load_w: float = LOAD_W

    def marker(self) -> Marker:
        pulse = self.pulse_ms * MS
        at = self.start_ns + self.warm_ms * MS + pulse
        edges = []
        for index in range(self.pulse_count):
            length = pulse * (2 if index == self.pulse_count - 1 else 1)
            edges += [at, at + length]
            at += 2 * length
        return Marker(edges_ns=tuple(edges), window_start_ns=at, window_end_ns=at + self.window_ms * MS)

    def window(self, inference_count: int = 1000) -> result_pb2.EnergyWindow:
        marker = self.marker()
        return result_pb2.EnergyWindow(
            start_ns=marker.window_start_ns,
            end_ns=marker.window_end_ns,
            inference_count=inference_count,
            marker_edges_ns=marker.edges_ns,
        )

    def idle_windows(self, length_ms: int = 30_000) -> tuple[result_pb2.EnergyWindow, result_pb2.EnergyWindow]:
        """Windows before the warm-up and behind the window, five seconds away, in which nothing runs."""
        end_ns = self.marker().window_end_ns
        starts = (self.start_ns - (length_ms + 5000) * MS, end_ns + 5000 * MS)
        before, after = (result_pb2.EnergyWindow(start_ns=at, end_ns=at + length_ms * MS) for at in starts)
        return before, after

    def heard_idle(
        self, window: result_pb2.EnergyWindow, label: str, *, around_ms: int = 2000
    ) -> control_pb2.HeardBlock:
        return control_pb2.HeardBlock(
            label=label,
            begin_ns=window.start_ns + self.offset_ns - around_ms * MS,
            end_ns=window.end_ns + self.offset_ns + around_ms * MS,
        )

    def heard(self, *, before_ms: int = 700, after_ms: int = 900) -> control_pb2.HeardBlock:
        return control_pb2.HeardBlock(
            label="a",
            begin_ns=self.start_ns + self.offset_ns - before_ms * MS,
            end_ns=self.marker().window_end_ns + self.offset_ns + after_ms * MS,
        )

    @property
    def energy_j(self) -> float:
        return self.load_w * self.window_ms / 1000

    def load_until(self, at_ns: np.ndarray) -> np.ndarray:
        """Nanoseconds of load until a time of the device's clock."""
        marker = self.marker()
        turns = [self.start_ns, self.start_ns + self.warm_ms * MS, *marker.edges_ns]
        turns += [marker.window_start_ns, marker.window_end_ns]
        total = np.zeros(np.shape(at_ns))
        for begin, end in zip(turns[::2], turns[1::2], strict=True):
            total += np.clip(np.asarray(at_ns) - begin, 0, end - begin)
        return total

    def power(self, at_ns: np.ndarray, mean_over_ns: float) -> np.ndarray:
        """Power as a meter tells it at times of the controller's clock: the mean around each."""
        device = np.asarray(at_ns) - self.offset_ns
        half = max(mean_over_ns, 1000.0) / 2
        share = (self.load_until(device + half) - self.load_until(device - half)) / (2 * half)
        return self.rest_w + (self.load_w - self.rest_w) * share

    def trace(
        self,
        *,
        period_ms: float = 20,
        noise_w: float = 0.0,
        mean_over_ms: float | None = None,
        lag_ms: float = 0.0,
        margin_ms: int = 3000,
        jitter: float = 0.0,
        seed: int = 0,
        resolution_w: float | None = None,
    ) -> Trace:
        rng = np.random.default_rng(seed)
        first = self.start_ns + self.offset_ns - margin_ms * MS
        last = self.marker().window_end_ns + self.offset_ns + margin_ms * MS
        steps = np.full(int((last - first) / (period_ms * MS)), float(period_ms * MS))
        steps *= 1 + jitter * rng.uniform(-1, 1, steps.size)
        times = first + np.cumsum(steps).astype(np.int64)
        mean_over = period_ms if mean_over_ms is None else mean_over_ms
        power = self.power(times - int(lag_ms * MS), mean_over * MS) + rng.normal(0, noise_w, times.size)
        if resolution_w:
            power = np.round(power / resolution_w) * resolution_w
        return Trace(times_ns=times, power_w=power, energy_j=np.empty(0), power_resolution_w=resolution_w)
