"""The energy of one block at an external meter, or its idle power: its window found in the trace, and integrated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from steelyard.meters.alignment import Alignment, Marker, align
from steelyard.meters.contract import LEAST_INFERENCES, LEAST_WINDOW_S
from steelyard.meters.integration import WANTED_SAMPLES, WindowEnergy, count_energy, integrate_power
from steelyard.meters.trace import Trace
from steelyard.stats.energy import Uncertain, in_quadrature
from steelyard_protocol.v1 import control_pb2, result_pb2

# Without a marker a window is placed by when the controller heard of the block: seconds too early or too late.
LEAST_UNALIGNED_WINDOW_S = 300.0
# How late a meter may tell what it measured.
_LAG_NS = 3_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEnergy:
    """Gross joules an inference, with the uncertainty for k = 2, or why they are not known.

    ``shortfalls`` are reasons for low confidence, ``how`` says in words how the window was found. ``placed`` leads from
    the device's clock to the controller's where a load marker was found.
    """

    energy_j: float | None
    expanded_uncertainty_j: float = 0.0
    is_counted: bool = False
    reason: str = ""
    how: str = ""
    shortfalls: tuple[str, ...] = ()
    placed: Alignment | None = None


def block_energy(trace: Trace, window: result_pb2.EnergyWindow, heard: control_pb2.HeardBlock | None) -> BlockEnergy:
    """Return the energy of the block that ran in ``window`` (of the device's clock)."""
    if window.end_ns <= window.start_ns or window.inference_count <= 0:
        return BlockEnergy(energy_j=None, reason="the device told no window with inferences in it")
    if trace.times_ns.size == 0:
        return BlockEnergy(energy_j=None, reason="the meter told nothing while the block ran")
    placed = _place(trace, window, heard)
    if placed.offset_ns is None:
        return BlockEnergy(energy_j=None, reason=placed.reason)
    found = _energy_of(trace, window, placed)
    if found.energy_j is None:
        return BlockEnergy(energy_j=None, reason=found.reason)
    length_s = (window.end_ns - window.start_ns) / 1e9
    return BlockEnergy(
        energy_j=found.energy_j / window.inference_count,
        expanded_uncertainty_j=2 * found.uncertainty_j / window.inference_count,
        is_counted=found.is_counted,
        how=f"aligned by the load marker, peak {placed.peak:.2f}" if placed.peak else placed.reason,
        shortfalls=_shortfalls(length_s, found.sample_count, window.inference_count),
        placed=placed if placed.peak else None,
    )


def idle_power(
    trace: Trace,
    window: result_pb2.EnergyWindow,
    heard: control_pb2.HeardBlock | None,
    placed: Alignment | None = None,
) -> Uncertain | str:
    """Return the mean power of an idle block in W, or why it is not known.

    Nothing runs in it, so that no marker can: ``placed`` is the alignment of another block of the same trace, which has
    the same two clocks. Without one only a long window can be placed, by when it was heard of.
    """
    if window.end_ns <= window.start_ns or trace.times_ns.size == 0:
        return "the device told no idle window, or the meter told nothing in it"
    by_hearing = "no model of its round could be aligned by its load marker"
    placed = placed or _place_by_hearing(window, heard, by_hearing, flag="--idle-window 6m")
    if placed.offset_ns is None:
        return placed.reason
    found = _energy_of(trace, window, replace(placed, swing_w=0.0))
    if found.energy_j is None:
        return found.reason
    length_s = (window.end_ns - window.start_ns) / 1e9
    return Uncertain(value=found.energy_j / length_s, expanded=2 * found.uncertainty_j / length_s)


def _energy_of(trace: Trace, window: result_pb2.EnergyWindow, placed: Alignment) -> WindowEnergy:
    """Return the energy of a window that was placed, its standard uncertainty with that of its place."""
    assert placed.offset_ns is not None
    start_ns, end_ns = window.start_ns + placed.offset_ns, window.end_ns + placed.offset_ns
    swing_w = placed.swing_w or None
    found = _best(integrate_power(trace, start_ns, end_ns, swing_w=swing_w), count_energy(trace, start_ns, end_ns))
    if found.energy_j is None:
        return found
    jump_w = placed.swing_w or abs(found.energy_j) / ((window.end_ns - window.start_ns) / 1e9)
    # Both edges move together: what one loses the other wins, but for the difference in power.
    uncertainty_j = in_quadrature(found.uncertainty_j, jump_w * placed.uncertainty_ns / 1e9)
    return replace(found, uncertainty_j=uncertainty_j or 0.0)


def _place(trace: Trace, window: result_pb2.EnergyWindow, heard: control_pb2.HeardBlock | None) -> Alignment:
    no_marker = "no load marker ran" if not window.marker_edges_ns else "the meter tells no power to align by"
    if window.marker_edges_ns and trace.power_w.size:
        try:
            marker = Marker(
                edges_ns=tuple(window.marker_edges_ns), window_start_ns=window.start_ns, window_end_ns=window.end_ns
            )
        except ValueError as error:
            return Alignment(offset_ns=None, reason=f"the device's load marker makes no sense: {error}")
        if trace.times_ns.size < 2 or marker.is_seen_every(trace.period_ns):
            return align(trace.times_ns, trace.power_w, marker, between_ns=_between(trace, window, heard))
        no_marker = (
            f"the meter has something new every {trace.period_ns / 1e9:.2g} s, too seldom for a load marker with "
            f"pulses of {marker.pulse_ns / 1e9:.2g} s"
        )
    return _place_by_hearing(window, heard, no_marker)


def _between(
    trace: Trace, window: result_pb2.EnergyWindow, heard: control_pb2.HeardBlock | None
) -> tuple[int, int] | None:
    """Return where the marker can lie: after the block began, and so that its window ended when the block was over.

    The markers of other blocks look the same, and lie outside of that.
    """
    if heard is None:
        return None
    over_ns = heard.end_ns + _LAG_NS if heard.HasField("end_ns") else int(trace.times_ns[-1])
    pulse_ns = window.marker_edges_ns[1] - window.marker_edges_ns[0]
    return heard.begin_ns - round(trace.period_ns), over_ns - (window.end_ns - window.start_ns) + pulse_ns


def _place_by_hearing(
    window: result_pb2.EnergyWindow,
    heard: control_pb2.HeardBlock | None,
    why: str,
    flag: str = "--energy-window 6m",
) -> Alignment:
    """Place a long window in the middle of where it can lie; how far that reaches is the uncertainty."""
    length_ns = window.end_ns - window.start_ns
    if length_ns < LEAST_UNALIGNED_WINDOW_S * 1e9:
        return Alignment(
            offset_ns=None,
            reason=f"{why}, and a window of {length_ns / 1e9:.3g} s cannot be placed without one: measure at least "
            f"{LEAST_UNALIGNED_WINDOW_S:g} s ({flag})",
        )
    slack_ns = heard.end_ns - heard.begin_ns - length_ns if heard is not None and heard.HasField("end_ns") else -1
    if heard is None or slack_ns < 0:
        return Alignment(offset_ns=None, reason=f"{why}, and when the block ran was not heard of")
    return Alignment(
        offset_ns=heard.begin_ns + slack_ns // 2 - window.start_ns,
        uncertainty_ns=slack_ns / sqrt(12),
        reason=f"placed by when the block was heard of ({why})",
    )


def _best(integrated: WindowEnergy, counted: WindowEnergy) -> WindowEnergy:
    if integrated.energy_j is None or counted.energy_j is None:
        return counted if integrated.energy_j is None and counted.energy_j is not None else integrated
    return counted if counted.uncertainty_j < integrated.uncertainty_j else integrated


def _shortfalls(length_s: float, sample_count: int, inference_count: int) -> tuple[str, ...]:
    found = []
    if length_s < LEAST_WINDOW_S:
        found.append(f"the window lasted {length_s:.1f} s, less than {LEAST_WINDOW_S:g} s")
    if inference_count < LEAST_INFERENCES:
        found.append(f"it held {inference_count} inferences, fewer than {LEAST_INFERENCES}")
    if sample_count < WANTED_SAMPLES:
        found.append(f"it held {sample_count} samples, fewer than {WANTED_SAMPLES}")
    return tuple(found)
