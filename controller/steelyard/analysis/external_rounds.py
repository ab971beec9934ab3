"""Energy rounds at external meters: every block found in the meters' traces, models and idle baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.analysis.device_energy import IDLE_ROLES, NO_BASELINE, idle_blocks
from steelyard.meters.alignment import Alignment
from steelyard.meters.block_energy import BlockEnergy, block_energy, idle_power
from steelyard.meters.trace import trace_of
from steelyard.stats.energy import Baseline, Uncertain, baseline
from steelyard_protocol.v1 import control_pb2, result_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRound:
    """One energy round at one meter: the energy of each model by label, and the baseline or why there is none."""

    round_index: int
    energies: Mapping[str, BlockEnergy]
    windows: Mapping[str, result_pb2.EnergyWindow]
    idle: Baseline | str
    has_idle_blocks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRounds:
    """The energy rounds at one meter; ``traces`` are all that were kept of it."""

    meter: str
    traces: tuple[control_pb2.MeterTrace, ...]
    rounds: tuple[MeterRound, ...]


def read_meters(
    meters: Sequence[str], rounds: Sequence[result_pb2.RoundResult], traces: Sequence[control_pb2.MeterTrace]
) -> tuple[MeterRounds, ...]:
    """Return what each meter told of the energy rounds among ``rounds``, in the order in which they were named."""
    energy_rounds = [one for one in rounds if one.pass_kind == result_pb2.PASS_ENERGY]
    return tuple(
        MeterRounds(
            meter=meter,
            traces=mine,
            rounds=tuple(_round(one, mine) for one in energy_rounds),
        )
        for meter in meters
        for mine in [tuple(trace for trace in traces if trace.meter == meter)]
    )


def _round(one: result_pb2.RoundResult, traces: Sequence[control_pb2.MeterTrace]) -> MeterRound:
    models = [block for block in one.blocks if not block.role]
    aligned: dict[int, Alignment] = {}
    energies = {block.label: _energy(one.round_index, block, traces, aligned) for block in models}
    idle = list(idle_blocks(one))
    found = {block.role: _idle(one.round_index, block, traces, aligned) for block in idle}
    powers = {role: power for role, power in found.items() if isinstance(power, Uncertain)}
    reasons = (reason for reason in found.values() if isinstance(reason, str))
    return MeterRound(
        round_index=one.round_index,
        energies=energies,
        windows={block.label: block.energy_window for block in models},
        idle=baseline(*(powers.get(role) for role in IDLE_ROLES)) or next(reasons, NO_BASELINE),
        has_idle_blocks=bool(idle),
    )


def _energy(
    round_index: int,
    block: result_pb2.BlockResult,
    traces: Sequence[control_pb2.MeterTrace],
    aligned: dict[int, Alignment],
) -> BlockEnergy:
    """Return the energy of a block; where its marker was found that is kept in ``aligned``, by the trace's place."""
    if block.status != result_pb2.BLOCK_STATUS_OK:
        return BlockEnergy(energy_j=None, reason=block.error.message or "the block failed")
    if not traces:
        reason = "no trace of this meter was kept: the controller ended while the energy pass ran"
        return BlockEnergy(energy_j=None, reason=reason)
    found = None
    # The last one first: an interrupted pass ran again, and its round is of the last time.
    for index, trace in reversed(list(enumerate(traces))):
        heard = _heard(round_index, block.label, trace)
        if heard is None and trace.blocks:
            # Looking through it all would find the marker of another block: they look the same.
            found = found or BlockEnergy(
                energy_j=None, reason=_and("the meter was not read while the block ran", trace)
            )
            continue
        found = _of_trace(trace, block, heard)
        if found.energy_j is not None:
            if found.placed is not None:
                aligned.setdefault(index, found.placed)
            return found
    assert found is not None
    return found


def _idle(
    round_index: int,
    block: result_pb2.BlockResult,
    traces: Sequence[control_pb2.MeterTrace],
    aligned: Mapping[int, Alignment],
) -> Uncertain | str:
    if block.status != result_pb2.BLOCK_STATUS_OK:
        return block.error.message or "the idle block failed"
    found: Uncertain | str = "the meter was not read in the idle block"
    for index, trace in reversed(list(enumerate(traces))):
        heard = _heard(round_index, block.label, trace)
        if heard is None:
            continue
        try:
            found = idle_power(trace_of(trace), block.energy_window, heard, aligned.get(index))
        except ValueError as error:
            found = f"the trace is damaged: {error}"
        if isinstance(found, Uncertain):
            return found
        found = _and(found, trace)
    return found


def _heard(round_index: int, label: str, trace: control_pb2.MeterTrace) -> control_pb2.HeardBlock | None:
    wanted = (round_index, label)
    return next((one for one in reversed(trace.blocks) if (one.round_index, one.label) == wanted), None)


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
