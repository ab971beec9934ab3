"""Energy of a window from samples of a counter or of power. Pure: values in, values out. Standard library only.

Methods: docs/measuring.md. A counter's energy is its rise modulo its range; power is integrated by the trapezoid rule,
extended to the window's edges. A gap is never bridged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, isfinite, sqrt
from statistics import median, stdev

from steelyard_agent.readings import HIGHEST_POWER_W

NS_PER_S = 1_000_000_000

# A gap of more sample periods than this is a hole in the data, not an interval to integrate over.
LONGEST_GAP_PERIODS = 5
# A counter loses nothing between two samples unless it wraps unseen; polled this often none of those that we know can.
LONGEST_COUNTER_GAP_S = 30.0
# Below these a window's energy is of low confidence; a window also lasts 1000 updates of its sensor, 60 s at most.
LEAST_WINDOW_S = 10.0
LEAST_UPDATES = 1000
LONGEST_LEAST_WINDOW_S = 60.0
LEAST_INFERENCES = 100
LEAST_SAMPLES = 300
# The statistical part looks at the window in blocks of about this length.
BLOCK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value, stamped in the middle of its read (CLOCK_MONOTONIC ns): counts of a counter, or watts."""

    time_ns: int
    value: float

    def __post_init__(self) -> None:
        """Refuse a value that nothing can be computed with."""
        if not isfinite(self.value):
            raise ValueError(f"sample at {self.time_ns} ns: value {self.value!r} is not finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when to when energy is asked for, in CLOCK_MONOTONIC ns."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        """Refuse a window that does not last."""
        if self.end_ns <= self.start_ns:
            raise ValueError(f"window ends at {self.end_ns} ns, which is not after its start at {self.start_ns} ns")

    @property
    def duration_s(self) -> float:
        """Return the window's length in seconds."""
        return (self.end_ns - self.start_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What shapes an energy from a sensor beside its values; the defaults are those of one that tells nothing.

    ``averaging_s`` is over how long before each value it averages, ``update_period_s`` how often the value is renewed,
    ``resolution`` the step of a value, in W of a sampled one.
    """

    averaging_s: float = 0.0
    update_period_s: float | None = None
    resolution: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """Standard uncertainties of an energy, in J, by part; None is "not known", never 0.

    ``edge_j`` comes from where the window begins and ends between two samples, ``statistical_j`` from how the power
    varied (standard error over blocks of about 1 s: what a block bootstrap of their sum converges to),
    ``quantization_j`` from the steps of the sensor (a load that rests within one step is off by the same all the time:
    step over the square root of 12, times the window) and ``systematic_j`` from the sensor's own accuracy.
    """

    edge_j: float
    statistical_j: float | None
    quantization_j: float | None = None
    systematic_j: float | None = None

    @property
    def expanded_j(self) -> float | None:
        """Return the known parts in quadrature, times 2 (k = 2); None when the statistical part is not known."""
        if self.statistical_j is None:
            return None
        parts = (self.edge_j, self.statistical_j, self.quantization_j or 0.0, self.systematic_j or 0.0)
        return 2 * sqrt(sum(part**2 for part in parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyResult:
    """The energy of a window, or why there is none; ``shortfalls`` are the reasons for low confidence."""

    energy_j: float | None
    reason: str = ""
    uncertainty: Uncertainty | None = None
    sample_count: int = 0
    shortfalls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a result that is neither a value nor a reason."""
        if (self.energy_j is None) == (not self.reason):
            raise ValueError(f"energy {self.energy_j!r} J does not fit reason {self.reason!r}")

    @property
    def status(self) -> str:
        """Return "incomplete", "low_confidence" or "complete"."""
        if self.energy_j is None:
            return "incomplete"
        return "low_confidence" if self.shortfalls else "complete"


def integrate_counter(
    samples: Sequence[Sample],
    *,
    range_max: int,
    window: Window,
    joules_per_count: float = 1e-6,
    inference_count: int | None = None,
    sensor: Sensor = Sensor(),
) -> EnergyResult:
    """Return the energy that a counter counted within the window.

    ``samples`` rise in time and hold counts; ``range_max`` is the last count before the counter starts again at 0.
    Between two samples the power is taken as constant. Where the window reaches past the samples by no more than five
    typical intervals the nearest interval's power is extended. Of a counter that is known to move in steps
    (``sensor.update_period_s``) the samples at its steps count: those between say nothing of the energy until then.

    Raises:
        ValueError: the samples do not rise in time or lie outside the counter's range.
    """
    _check(samples)
    if range_max <= 0 or any(not 0 <= sample.value <= range_max for sample in samples):
        raise ValueError(f"counter samples lie outside 0 to {range_max}")
    near = _near(samples, window)
    reason = _hole(near, window, longest_ns=int(LONGEST_COUNTER_GAP_S * NS_PER_S), edge_ns=_edge_reach_ns(near))
    if reason:
        return EnergyResult(energy_j=None, reason=reason, sample_count=len(near))
    sample_count = len(near)
    near = _near(_steps(samples, sensor.update_period_s), window)
    rising = _unwrapped(near, range_max + 1, joules_per_count)
    reason = _impossible_rise(near, rising)
    if reason:
        return EnergyResult(energy_j=None, reason=reason, sample_count=len(near))
    times = [sample.time_ns for sample in near]
    total_until = _Extended(times, rising)
    edge_interval_s = _edge_interval_s(times, window)
    return _result(window, sample_count, total_until, edge_interval_s, inference_count, sensor.update_period_s)


def integrate_power(
    samples: Sequence[Sample],
    *,
    window: Window,
    period_ns: int,
    inference_count: int | None = None,
    sensor: Sensor = Sensor(),
) -> EnergyResult:
    """Return the integral of power over the window, by the trapezoid rule, extended to the window's edges.

    ``samples`` rise in time and hold watts; ``period_ns`` is the intended time between two. At an edge without a sample
    beyond it the nearest sample's power is extended by no more than five periods. A value of a sensor that averages
    stands for the middle of what it averaged: samples are shifted back by half of ``sensor.averaging_s``. What is left
    is smeared over the window's edges: of a step there an eighth of the averaging time.

    Raises:
        ValueError: the samples do not rise in time, or the period is not positive.
    """
    _check(samples)
    if period_ns <= 0:
        raise ValueError(f"sample period {period_ns} ns is not positive")
    near = _near(_shifted(samples, sensor.averaging_s), window)
    longest_ns = LONGEST_GAP_PERIODS * period_ns
    reason = _hole(near, window, longest_ns=longest_ns, edge_ns=longest_ns)
    if reason:
        return EnergyResult(energy_j=None, reason=reason, sample_count=len(near))
    padded = _padded(near, window)
    energy_until = _Trapezoid(padded)
    # Two edges: half a period each way, and what averaging smears over them when the load begins and ends there.
    edge_s = period_ns / 2 / NS_PER_S + sensor.averaging_s / 4
    quantization_j = None if sensor.resolution is None else sensor.resolution / sqrt(12) * window.duration_s
    return _result(
        window, len(near), energy_until, edge_s, inference_count, sensor.update_period_s, quantization_j=quantization_j
    )


def window_shortfalls(
    *, duration_s: float, sample_count: int, inference_count: int | None, update_period_s: float | None = None
) -> tuple[str, ...]:
    """Return why a window's energy is of low confidence; empty when it is not. None leaves a condition out."""
    shortfalls = []
    least_s = max(LEAST_WINDOW_S, min(LONGEST_LEAST_WINDOW_S, LEAST_UPDATES * (update_period_s or 0.0)))
    if duration_s < least_s:
        shortfalls.append(f"the window lasted {duration_s:.1f} s, less than {least_s:g} s")
    if inference_count is not None and inference_count < LEAST_INFERENCES:
        shortfalls.append(f"it held {inference_count} inferences, fewer than {LEAST_INFERENCES}")
    if sample_count < LEAST_SAMPLES:
        shortfalls.append(f"it held {sample_count} samples, fewer than {LEAST_SAMPLES}")
    return tuple(shortfalls)


class _Extended:
    """Energy counted until a time: linear between samples, the outermost intervals extended."""

    def __init__(self, times_ns: list[int], energy_j: list[float]) -> None:
        self._times, self._energy = times_ns, energy_j

    def __call__(self, time_ns: int) -> float:
        after = min(max(bisect_left(self._times, time_ns), 1), len(self._times) - 1)
        t0, t1 = self._times[after - 1], self._times[after]
        e0, e1 = self._energy[after - 1], self._energy[after]
        return e0 + (e1 - e0) * (time_ns - t0) / (t1 - t0)


class _Trapezoid:
    """Energy until a time from power samples that reach over the whole window."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples
        self._energy = [0.0]
        for one, two in pairwise(samples):
            self._energy.append(self._energy[-1] + (one.value + two.value) / 2 * (two.time_ns - one.time_ns) / NS_PER_S)

    def __call__(self, time_ns: int) -> float:
        after = max(bisect_left(self._samples, time_ns, key=lambda sample: sample.time_ns), 1)
        one, two = self._samples[after - 1], self._samples[after]
        passed_s = (time_ns - one.time_ns) / NS_PER_S
        slope = (two.value - one.value) / (two.time_ns - one.time_ns) * NS_PER_S
        return self._energy[after - 1] + passed_s * (one.value + slope * passed_s / 2)


def _check(samples: Sequence[Sample]) -> None:
    for one, two in pairwise(samples):
        if two.time_ns <= one.time_ns:
            raise ValueError(f"samples do not rise in time: {two.time_ns} ns follows {one.time_ns} ns")


def _shifted(samples: Sequence[Sample], averaging_s: float) -> list[Sample]:
    shift_ns = round(averaging_s / 2 * NS_PER_S)
    return [Sample(time_ns=sample.time_ns - shift_ns, value=sample.value) for sample in samples]


def _steps(samples: Sequence[Sample], update_period_s: float | None) -> list[Sample]:
    """Return the first sample, those that differ from the one before, and of a rest some: it is no energy then."""
    if update_period_s is None:
        return list(samples)
    rest_ns = 2 * round(update_period_s * NS_PER_S)
    kept: list[Sample] = []
    for sample in samples:
        if not kept or sample.value != kept[-1].value or sample.time_ns - kept[-1].time_ns > rest_ns:
            kept.append(sample)
    return kept if len(kept) > 1 else list(samples)


def _near(samples: Sequence[Sample], window: Window) -> list[Sample]:
    """Return the samples within the window and the nearest one beyond each edge."""
    before = [s for s in samples if s.time_ns <= window.start_ns][-1:]
    inside = [s for s in samples if window.start_ns < s.time_ns < window.end_ns]
    after = [s for s in samples if s.time_ns >= window.end_ns][:1]
    return before + inside + after


def _edge_reach_ns(near: list[Sample]) -> int:
    intervals = [two.time_ns - one.time_ns for one, two in pairwise(near)]
    return int(LONGEST_GAP_PERIODS * median(intervals)) if intervals else 0


def _hole(near: list[Sample], window: Window, *, longest_ns: int, edge_ns: int) -> str:
    """Return why the samples do not cover the window, "" when they do."""
    if len(near) < 2:
        return f"only {len(near)} samples in a window of {window.duration_s:.3g} s"
    late_ns, early_ns = near[0].time_ns - window.start_ns, window.end_ns - near[-1].time_ns
    if late_ns > edge_ns:
        return f"the first sample came {late_ns / NS_PER_S:.3g} s after the window's start"
    if early_ns > edge_ns:
        return f"the last sample came {early_ns / NS_PER_S:.3g} s before the window's end"
    widest_ns = max(two.time_ns - one.time_ns for one, two in pairwise(near))
    if widest_ns > longest_ns:
        return f"no sample for {widest_ns / NS_PER_S:.3g} s, longer than the {longest_ns / NS_PER_S:.3g} s allowed"
    return ""


def _unwrapped(near: list[Sample], modulus: int, joules_per_count: float) -> list[float]:
    counts = [0.0]
    for one, two in pairwise(near):
        counts.append(counts[-1] + (two.value - one.value) % modulus)
    return [count * joules_per_count for count in counts]


def _impossible_rise(near: list[Sample], rising_j: list[float]) -> str:
    for (one, two), (low_j, high_j) in zip(pairwise(near), pairwise(rising_j), strict=True):
        power_w = (high_j - low_j) / ((two.time_ns - one.time_ns) / NS_PER_S)
        if power_w > HIGHEST_POWER_W:
            return f"the counter rose by {high_j - low_j:.4g} J at {power_w:.3g} W: it was reset or misread"
    return ""


def _edge_interval_s(times_ns: list[int], window: Window) -> float:
    """Return the lengths of the sample intervals that hold the two edges, in quadrature, in seconds.

    How often a counter is renewed is not told by the kernel; that it was renewed within an interval is what we know.
    """
    first = next((b - a for a, b in pairwise(times_ns) if b >= window.start_ns), times_ns[1] - times_ns[0])
    last = next((b - a for a, b in pairwise(times_ns) if b >= window.end_ns), times_ns[-1] - times_ns[-2])
    return hypot(first, last) / NS_PER_S


def _padded(near: list[Sample], window: Window) -> list[Sample]:
    padded = list(near)
    if padded[0].time_ns > window.start_ns:
        padded.insert(0, Sample(time_ns=window.start_ns, value=padded[0].value))
    if padded[-1].time_ns < window.end_ns:
        padded.append(Sample(time_ns=window.end_ns, value=padded[-1].value))
    return padded


def _result(
    window: Window,
    sample_count: int,
    energy_until: _Extended | _Trapezoid,
    edge_interval_s: float,
    inference_count: int | None,
    update_period_s: float | None,
    *,
    quantization_j: float | None = None,
) -> EnergyResult:
    energy_j = energy_until(window.end_ns) - energy_until(window.start_ns)
    shortfalls = window_shortfalls(
        duration_s=window.duration_s,
        sample_count=sample_count,
        inference_count=inference_count,
        update_period_s=update_period_s,
    )
    uncertainty = Uncertainty(
        edge_j=energy_j / window.duration_s * edge_interval_s,
        statistical_j=_statistical_j(window, energy_until),
        quantization_j=quantization_j,
    )
    return EnergyResult(energy_j=energy_j, uncertainty=uncertainty, sample_count=sample_count, shortfalls=shortfalls)


def _statistical_j(window: Window, energy_until: _Extended | _Trapezoid) -> float | None:
    count = round(window.duration_s / BLOCK_S)
    if count < 2:
        return None
    edges = [window.start_ns + (window.end_ns - window.start_ns) * i // count for i in range(count + 1)]
    totals = [energy_until(edge) for edge in edges]
    return stdev(high - low for low, high in pairwise(totals)) * sqrt(count)
