"""What external meters say of one variant's energy, computed anew from their traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from steelyard.analysis.energy_choice import ENERGY_NAME
from steelyard.meters.block_energy import BlockEnergy, block_energy
from steelyard.meters.trace import trace_of
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2

UNCERTAINTY_NAME = "energy_per_inference_uncertainty"


def external_readings(
    label: str,
    meters: Sequence[str],
    rounds: Sequence[result_pb2.RoundResult],
    traces: Sequence[control_pb2.MeterTrace],
) -> list[common_pb2.Reading]:
    """Return, for each meter, the variant's gross J per inference or why there is none.

    A value is followed by its uncertainty (k = 2). Over several energy rounds the value is their mean.
    """
    readings = []
    for meter in meters:
        mine = [trace for trace in traces if trace.meter == meter]
        energies = list(_energies(label, rounds, mine))
        readings += _readings(meter, mine, energies)
    return readings


def _energies(
    label: str, rounds: Sequence[result_pb2.RoundResult], traces: Sequence[control_pb2.MeterTrace]
) -> Iterator[BlockEnergy]:
    for result in rounds:
        if result.pass_kind != result_pb2.PASS_ENERGY:
            continue
        for block in result.blocks:
            if block.label == label:
                yield _energy(result.round_index, block, traces)


def _energy(round_index: int, block: result_pb2.BlockResult, traces: Sequence[control_pb2.MeterTrace]) -> BlockEnergy:
    if block.status != result_pb2.BLOCK_STATUS_OK:
        return BlockEnergy(energy_j=None, reason=block.error.message or "the block failed")
    if not traces:
        reason = "no trace of this meter was kept: the controller ended while the energy pass ran"
        return BlockEnergy(energy_j=None, reason=reason)
    found = None
    # The last one first: an interrupted pass ran again, and its round is of the last time.
    for trace in reversed(traces):
        heard = next(
            (one for one in reversed(trace.blocks) if (one.round_index, one.label) == (round_index, block.label)), None
        )
        if heard is None and trace.blocks:
            # Looking through it all would find the marker of another block: they look the same.
            found = found or BlockEnergy(
                energy_j=None, reason=_and("the meter was not read while the block ran", trace)
            )
            continue
        found = _of_trace(trace, block, heard)
        if found.energy_j is not None:
            return found
    assert found is not None
    return found


def _of_trace(
    trace: control_pb2.MeterTrace, block: result_pb2.BlockResult, heard: control_pb2.HeardBlock | None
) -> BlockEnergy:
    try:
        samples = trace_of(trace)
    except ValueError as error:
        return BlockEnergy(energy_j=None, reason=f"the trace is damaged: {error}")
    if samples.times_ns.size == 0 and trace.reason:
        return BlockEnergy(energy_j=None, reason=trace.reason)
    energy = block_energy(samples, block.energy_window, heard)
    return energy if energy.energy_j is not None else BlockEnergy(energy_j=None, reason=_and(energy.reason, trace))


def _and(reason: str, trace: control_pb2.MeterTrace) -> str:
    """Return a reason and, after it, the trouble that there was with the meter."""
    return f"{reason}; {trace.reason}" if trace.reason else reason


def _readings(
    meter: str, traces: Sequence[control_pb2.MeterTrace], energies: Sequence[BlockEnergy]
) -> list[common_pb2.Reading]:
    known = [one for one in energies if one.energy_j is not None]
    if not known:
        # Where no meter answered the pass was not run, and the trace holds nothing but why.
        silent = next((trace.reason for trace in reversed(traces) if trace.reason), "the energy pass did not run")
        reason = energies[-1].reason if energies else silent
        reading = _reading(meter, traces, ENERGY_NAME, common_pb2.READING_STATUS_UNAVAILABLE, reason)
        return [reading]
    value_j = sum(one.energy_j or 0.0 for one in known) / len(known)
    uncertainty_j = sqrt(sum(one.expanded_uncertainty_j**2 for one in known)) / len(known)
    shortfalls = dict.fromkeys(text for one in known for text in one.shortfalls)
    low = f"low_confidence: {', '.join(shortfalls)}" if shortfalls else ""
    how = dict.fromkeys(one.how for one in known)
    reason = "; ".join([*([low] if low else []), *how])
    counted = all(one.is_counted for one in known)
    energy = _reading(meter, traces, ENERGY_NAME, common_pb2.READING_STATUS_MEASURED, reason, counted=counted)
    energy.value = value_j
    why = (
        "k = 2, from alignment, edges, resolution and spread over blocks of 1 s; the meter's own accuracy is not known"
    )
    uncertainty = _reading(meter, traces, UNCERTAINTY_NAME, common_pb2.READING_STATUS_ESTIMATED, why, counted=counted)
    uncertainty.value = uncertainty_j
    return [energy, uncertainty]


def _reading(
    meter: str,
    traces: Sequence[control_pb2.MeterTrace],
    name: str,
    status: common_pb2.ReadingStatus.ValueType,
    reason: str,
    *,
    counted: bool = False,
) -> common_pb2.Reading:
    described = next((trace for trace in reversed(traces) if trace.description), None)
    reading = common_pb2.Reading(
        name=name,
        status=status,
        reason=reason,
        source=described.description if described is not None else meter,
        unit="J",
        kind=common_pb2.READING_KIND_COUNTER if counted else common_pb2.READING_KIND_SAMPLED,
    )
    if described is not None:
        reading.scope = described.scope
        reading.rate_hz = described.rate_hz
        if counted and described.HasField("energy_resolution_j"):
            reading.resolution = described.energy_resolution_j
    return reading
