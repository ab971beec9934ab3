"""Where a block's energy window lies in a meter's trace: the load marker, found by cross-correlation. Pure.

The device stamps the marker's edges on its own monotonic clock, the meter's samples carry the controller's. The offset
between the two is where the pattern of load and rest fits the trace best; a constant lag of the meter is part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from steelyard.meters.contract import PULSE_PERIODS
from steelyard.meters.resampling import LoadCurve, PowerCurve

# A load that is periodic with the marker's own period reaches 0.67 with four pulses; the marker itself stays above
# this up to a noise of 0.44 of the power's swing.
LEAST_PEAK = 0.75
# The same pattern elsewhere must be clearly worse. Beside its peak the marker itself reaches 0.35 of it.
MOST_NEXT_PEAK = 0.8
# Crystals of boards and laptops differ by less.
_CLOCK_DRIFT = 1e-4
_BINS_PER_PULSE = (8, 32)
# A poll that comes a little late each time does not make a pulse of three polls too short.
_POLL_LATENESS = 0.9
# Tries between two bins of the grid.
_FINE_STEPS = 81


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Edges of the pulses and of the energy window, in ns of the device's monotonic clock."""

    edges_ns: Sequence[int]
    window_start_ns: int
    window_end_ns: int

    def __post_init__(self) -> None:
        """Refuse edges that are no pulses before a window."""
        rising = [*self.edges_ns, self.window_start_ns, self.window_end_ns]
        if len(self.edges_ns) < 4 or len(self.edges_ns) % 2 or any(b <= a for a, b in pairwise(rising)):
            raise ValueError(f"{len(self.edges_ns)} edges of a marker do not rise to its window")

    @property
    def pulse_ns(self) -> int:
        """Return the length of the first pulse, which is the shortest."""
        return self.edges_ns[1] - self.edges_ns[0]

    def is_seen_every(self, period_ns: float) -> bool:
        """Return whether a meter with something new so often can place the pulses' edges."""
        return self.pulse_ns >= PULSE_PERIODS * period_ns * _POLL_LATENESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What to add to the device's clock to get the controller's, or why that is not known.

    ``uncertainty_ns`` is one standard uncertainty; ``swing_w`` is the power of load above that of rest.
    """

    offset_ns: int | None
    uncertainty_ns: float = 0.0
    swing_w: float = 0.0
    peak: float = 0.0
    reason: str = ""


def align(
    times_ns: NDArray[np.int64],
    power_w: NDArray[np.float64],
    marker: Marker,
    *,
    between_ns: tuple[int, int] | None = None,
) -> Alignment:
    """Find the marker in a trace.

    Args:
        times_ns: int64 [N], rising, of the controller's clock.
        power_w: float64 [N].
        marker: Of the device's clock.
        between_ns: The controller's times that the template must lie between; None looks through the whole trace.
    """
    if times_ns.size < 2:
        return _nothing(f"the trace holds {times_ns.size} samples")
    period_ns = float(np.median(np.diff(times_ns)))
    if not marker.is_seen_every(period_ns):
        return _nothing(
            f"the meter has something new every {period_ns / 1e9:.2g} s, too seldom for pulses of "
            f"{marker.pulse_ns / 1e9:.2g} s"
        )
    step_ns = float(np.clip(period_ns, marker.pulse_ns / _BINS_PER_PULSE[1], marker.pulse_ns / _BINS_PER_PULSE[0]))
    template = LoadCurve.of_marker(marker.edges_ns, marker.window_start_ns, marker.window_end_ns)
    curve = PowerCurve(times_ns, power_w)
    first_ns, last_ns = between_ns or (curve.first_ns, curve.last_ns)
    first_ns, last_ns = max(first_ns, curve.first_ns), min(last_ns, curve.last_ns)
    pattern = template.bins(0.0, step_ns)
    count = int((last_ns - first_ns) / step_ns)
    if count < pattern.size:
        return _nothing("the trace does not reach over the marker")
    found = curve.bins(first_ns, step_ns, count)
    scores = correlations(found, pattern)
    best = int(np.argmax(scores))
    fraction, peak = _refine(found, template, best, step_ns, float(scores[best]))
    elsewhere = np.abs(np.arange(scores.size) - best) * step_ns > marker.pulse_ns
    if reason := _refusal(peak, float(scores[elsewhere].max(initial=0.0))):
        return _nothing(reason)
    spread = float(np.std(pattern))
    # Standard deviation of what is not the marker, over the power's swing.
    noise = spread * np.sqrt(max(0.0, 1 - peak**2)) / peak
    # Where an edge lies between two samples is the same for all edges when a pulse is a whole number of samples long,
    # so that only the noise averages out over them.
    edge_ns = max(period_ns, step_ns) * np.sqrt(1 / 12 + noise**2 / (len(marker.edges_ns) + 1))
    drift_ns = _CLOCK_DRIFT * (marker.window_end_ns - marker.edges_ns[0]) / np.sqrt(3)
    return Alignment(
        offset_ns=round(first_ns + (best + fraction) * step_ns - template.start_ns),
        uncertainty_ns=float(np.hypot(edge_ns, drift_ns)),
        swing_w=float(peak * np.std(found[best : best + pattern.size]) / spread),
        peak=peak,
    )


def correlations(values: NDArray[np.float64], pattern: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation of ``pattern`` [M] with each stretch of ``values`` [N >= M], shape [N - M + 1].

    A stretch that does not vary correlates with nothing: 0.
    """
    size = pattern.size
    demeaned = pattern - pattern.mean()
    centred = values - values.mean()
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    squares = np.concatenate([[0.0], np.cumsum(centred**2)])
    mean = (sums[size:] - sums[:-size]) / size
    variance = (squares[size:] - squares[:-size]) / size - mean**2
    # Below rounding of the cumulated squares nothing is left but noise of the computer.
    floor = max(1e-12 * float(squares[-1]), np.finfo(np.float64).tiny)
    shared = np.correlate(centred, demeaned, mode="valid") / size
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = shared / np.sqrt(variance * float(np.var(pattern)))
    return np.where(variance > floor, scores, 0.0)


def _refusal(peak: float, next_peak: float) -> str:
    if peak < LEAST_PEAK:
        return (
            f"the marker was not found in the trace: peak {peak:.2f}, at least {LEAST_PEAK} is asked for; see that the "
            "meter feeds this device, and that nothing else on it draws power"
        )
    if next_peak > MOST_NEXT_PEAK * peak:
        return (
            f"the marker was found twice in the trace: peak {peak:.2f}, the next {next_peak:.2f}; something else there "
            "draws power in the same pattern"
        )
    return ""


def _refine(
    found: NDArray[np.float64], template: LoadCurve, best: int, step_ns: float, peak: float
) -> tuple[float, float]:
    """Shift the template by fractions of a bin; return the best fraction and its correlation."""
    fractions = np.linspace(-1.0, 1.0, _FINE_STEPS)
    shifted = [template.bins(-fraction * step_ns, step_ns) for fraction in fractions]
    scores = [
        float(correlations(found[best : best + one.size], one)[0]) if best + one.size <= found.size else 0.0
        for one in shifted
    ]
    top = int(np.argmax(scores))
    return (float(fractions[top]), scores[top]) if scores[top] > peak else (0.0, float(peak))


def _nothing(reason: str) -> Alignment:
    return Alignment(offset_ns=None, reason=reason)
