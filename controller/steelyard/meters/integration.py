"""The energy of a window from a meter's trace: power integrated, or a counter's difference. Pure; a gap is no data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.meters.resampling import PowerCurve
from steelyard.meters.trace import Trace
from steelyard.stats.energy import in_quadrature

# A gap of more sample periods than this is a hole in the data, not an interval to integrate over.
LONGEST_GAP_PERIODS = 5
# Fewer samples within a window tell nothing of it; fewer than the second leave its energy at low confidence.
FEWEST_SAMPLES = 10
WANTED_SAMPLES = 300
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowEnergy:
    """The energy of a window with its standard uncertainty, or why it is not known.

    ``is_counted`` tells a counter's difference from an integral of power.
    """

    energy_j: float | None
    uncertainty_j: float = 0.0
    sample_count: int = 0
    is_counted: bool = False
    reason: str = ""


def integrate_power(trace: Trace, start_ns: int, end_ns: int, *, swing_w: float | None = None) -> WindowEnergy:
    """Integrate power over a window by the trapezoid rule, extended to its edges by five periods at most.

    ``swing_w`` is by how much power jumps at the window's edges, None where that is not known: each edge falls between
    two samples. The uncertainty holds that, how power varied over blocks of 1 s, and the meter's resolution.

    Raises:
        ValueError: the window does not last.
    """
    if trace.power_w.size == 0:
        return WindowEnergy(energy_j=None, reason="the meter tells no power")
    inside, reason = _covered(trace.times_ns, start_ns, end_ns)
    if reason:
        return WindowEnergy(energy_j=None, reason=reason, sample_count=inside)
    curve = PowerCurve(trace.times_ns, trace.power_w)
    length_s = (end_ns - start_ns) / _NS_PER_S
    blocks = max(1, round(length_s))
    until = curve.integral(np.linspace(start_ns - curve.first_ns, end_ns - curve.first_ns, blocks + 1)) / _NS_PER_S
    energy_j = float(until[-1] - until[0])
    jump_w = abs(energy_j / length_s) if swing_w is None else swing_w
    parts = [
        # A jump somewhere within the sample interval at each edge: uniform over it.
        jump_w * trace.period_ns / _NS_PER_S / np.sqrt(6),
        float(np.std(np.diff(until), ddof=1)) * np.sqrt(blocks) if blocks > 1 else 0.0,
        # A steady load sits on one step of the scale for good, so that this does not average out.
        (trace.power_resolution_w or 0.0) / np.sqrt(12) * length_s,
    ]
    return WindowEnergy(energy_j=energy_j, uncertainty_j=in_quadrature(*map(float, parts)) or 0.0, sample_count=inside)


def count_energy(trace: Trace, start_ns: int, end_ns: int) -> WindowEnergy:
    """Return what the meter's counter counted within a window, interpolated between samples.

    Raises:
        ValueError: the window does not last.
    """
    if trace.energy_j.size == 0:
        return WindowEnergy(energy_j=None, is_counted=True, reason="the meter has no counter")
    inside, reason = _covered(trace.times_ns, start_ns, end_ns)
    near = _near(trace.times_ns, start_ns, end_ns)
    times, counted = trace.times_ns[near], trace.energy_j[near]
    steps = np.diff(counted)
    if not reason and bool(np.any(steps < 0)):
        reason = "the meter's counter went backwards: it was reset"
    if not reason and not bool(np.any(steps > 0)):
        reason = "the meter's counter did not move"
    if reason:
        return WindowEnergy(energy_j=None, reason=reason, sample_count=inside, is_counted=True)
    edges = np.interp([0.0, float(end_ns - start_ns)], (times - start_ns).astype(np.float64), counted)
    # The counter moves in steps; where within one an edge lies is not known.
    step_j = max(float(np.median(steps[steps > 0])), trace.energy_resolution_j or 0.0)
    return WindowEnergy(
        energy_j=float(edges[1] - edges[0]),
        uncertainty_j=step_j / np.sqrt(6),
        sample_count=inside,
        is_counted=True,
    )


def _near(times_ns: NDArray[np.int64], start_ns: int, end_ns: int) -> slice:
    """Return the samples within a window and the nearest one beyond each edge."""
    first = max(0, int(np.searchsorted(times_ns, start_ns, side="right")) - 1)
    return slice(first, int(np.searchsorted(times_ns, end_ns)) + 1)


def _covered(times_ns: NDArray[np.int64], start_ns: int, end_ns: int) -> tuple[int, str]:
    """Return how many samples lie within a window, and why they do not cover it, "" when they do."""
    if end_ns <= start_ns:
        raise ValueError(f"a window from {start_ns} to {end_ns} ns does not last")
    near = times_ns[_near(times_ns, start_ns, end_ns)]
    inside = int(np.count_nonzero((near >= start_ns) & (near <= end_ns)))
    if inside < FEWEST_SAMPLES:
        return inside, f"only {inside} samples in a window of {(end_ns - start_ns) / _NS_PER_S:.3g} s"
    longest_ns = LONGEST_GAP_PERIODS * float(np.median(np.diff(near)))
    if near[0] - start_ns > longest_ns:
        return inside, f"the first sample came {(near[0] - start_ns) / _NS_PER_S:.3g} s after the window's start"
    if end_ns - near[-1] > longest_ns:
        return inside, f"the last sample came {(end_ns - near[-1]) / _NS_PER_S:.3g} s before the window's end"
    widest_ns = float(np.diff(near).max())
    if widest_ns > longest_ns:
        return inside, f"no sample for {widest_ns / _NS_PER_S:.3g} s, longer than {longest_ns / _NS_PER_S:.3g} s"
    return inside, ""
