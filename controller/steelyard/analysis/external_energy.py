"""What external meters say of one variant's energy, as readings, computed anew from their traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steelyard.analysis.device_energy import drift_warning, inference_seconds
from steelyard.analysis.energy_names import (
    ENERGY_NAME,
    IDLE_NAME,
    LOW_CONFIDENCE,
    NET_NAME,
    POWER_NAME,
    UNCERTAINTY_SUFFIX,
)
from steelyard.analysis.external_rounds import MeterRounds
from steelyard.stats.energy import (
    Baseline,
    RoundEnergy,
    Uncertain,
    expanded_of,
    net_over_rounds,
    over_rounds,
)
from steelyard.stats.estimate import Estimate
from steelyard_protocol.v1 import common_pb2, control_pb2

_HOW_UNCERTAIN = (
    "k = 2, from alignment, edges, resolution and spread over blocks of 1 s; the meter's own accuracy is not known"
)


def external_readings(label: str, meters: Sequence[MeterRounds]) -> list[common_pb2.Reading]:
    """Return, for each meter, the variant's gross J per inference or why there is none; net and powers follow.

    Those are there where the rounds have idle baselines. A value is followed by its uncertainty (k = 2). Over several
    energy rounds the value is their mean, with the uncertainty of ``steelyard.stats.energy``.
    """
    return [reading for meter in meters for reading in _readings(label, meter)]


def external_warnings(meters: Sequence[MeterRounds]) -> list[str]:
    """Return a sentence for each meter at which two baselines of a round are not of one state."""
    return [
        warning for meter in meters for warning in drift_warning([one.idle for one in meter.rounds], _source(meter))
    ]


def _readings(label: str, meter: MeterRounds) -> Iterator[common_pb2.Reading]:
    energies = [one.energies[label] for one in meter.rounds if label in one.energies]
    known = [one for one in energies if one.energy_j is not None]
    if not known:
        # Where no meter answered the pass was not run, and the trace holds nothing but why.
        silent = next((trace.reason for trace in reversed(meter.traces) if trace.reason), "the energy pass did not run")
        yield _reading(
            meter,
            ENERGY_NAME,
            "J",
            common_pb2.READING_STATUS_UNAVAILABLE,
            energies[-1].reason if energies else silent,
        )
        return
    counted = all(one.is_counted for one in known)
    rounds = list(_rounds(label, meter))
    shortfalls = dict.fromkeys(text for one in known for text in one.shortfalls)
    low = [f"{LOW_CONFIDENCE}: {', '.join(shortfalls)}"] if shortfalls else []
    how = "; ".join([*low, *dict.fromkeys(one.how for one in known)])
    gross = [one.gross for one in rounds]
    yield from _estimated(meter, ENERGY_NAME, over_rounds(gross, "J"), gross, how, counted=counted)
    if any(one.has_idle_blocks for one in meter.rounds):
        yield from _above_idle(meter, rounds, counted=counted)


def _above_idle(meter: MeterRounds, rounds: Sequence[RoundEnergy], *, counted: bool) -> Iterator[common_pb2.Reading]:
    nets = [one.net for one in rounds if one.net is not None]
    if nets:
        net = net_over_rounds(nets, "J")
        yield from _estimated(meter, NET_NAME, net, nets, "" if net.low is None else net.reason, counted=counted)
    else:
        reason = next((one.why_no_idle for one in rounds if one.why_no_idle), "the device told no energy window")
        yield _reading(meter, NET_NAME, "J", common_pb2.READING_STATUS_UNAVAILABLE, reason)
    powers = [one.mean_power for one in rounds if one.mean_power is not None]
    yield from _estimated(meter, POWER_NAME, over_rounds(powers, "W"), powers)
    idle = [one.idle.power for one in rounds if one.idle is not None]
    if idle:
        yield from _estimated(meter, IDLE_NAME, over_rounds(idle, "W"), idle)


def _rounds(label: str, meter: MeterRounds) -> Iterator[RoundEnergy]:
    for one in meter.rounds:
        energy = one.energies.get(label)
        if energy is None or energy.energy_j is None:
            continue
        yield RoundEnergy(
            gross=Uncertain(value=energy.energy_j, expanded=energy.expanded_uncertainty_j),
            inference_s=inference_seconds(one.windows[label]),
            idle=one.idle if isinstance(one.idle, Baseline) else None,
            why_no_idle=one.idle if isinstance(one.idle, str) else "",
        )


def _estimated(
    meter: MeterRounds,
    name: str,
    estimate: Estimate,
    rounds: Sequence[Uncertain],
    reason: str = "",
    *,
    counted: bool = False,
) -> Iterator[common_pb2.Reading]:
    if estimate.value is None:
        return
    measured = _reading(meter, name, estimate.unit, common_pb2.READING_STATUS_MEASURED, reason, counted=counted)
    measured.value = estimate.value
    yield measured
    expanded = expanded_of(estimate, rounds)
    if expanded is not None:
        status = common_pb2.READING_STATUS_ESTIMATED
        uncertainty = _reading(meter, name + UNCERTAINTY_SUFFIX, estimate.unit, status, _HOW_UNCERTAIN, counted=counted)
        uncertainty.value = expanded
        yield uncertainty


def _described(meter: MeterRounds) -> control_pb2.MeterTrace | None:
    return next((trace for trace in reversed(meter.traces) if trace.description), None)


def _source(meter: MeterRounds) -> str:
    described = _described(meter)
    return described.description if described is not None else meter.meter


def _reading(
    meter: MeterRounds,
    name: str,
    unit: str,
    status: common_pb2.ReadingStatus.ValueType,
    reason: str,
    *,
    counted: bool = False,
) -> common_pb2.Reading:
    described = _described(meter)
    reading = common_pb2.Reading(
        name=name,
        status=status,
        reason=reason,
        source=_source(meter),
        unit=unit,
        kind=common_pb2.READING_KIND_COUNTER if counted else common_pb2.READING_KIND_SAMPLED,
    )
    if described is not None:
        reading.scope = described.scope
        reading.rate_hz = described.rate_hz
        if counted and described.HasField("energy_resolution_j"):
            reading.resolution = described.energy_resolution_j
    return reading
