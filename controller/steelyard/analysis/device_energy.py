"""What a device's own sensors say of energy: gross, net of idle and mean power per model, idle power per round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.analysis.energy_choice import NOT_ON_THE_GPU, energy_readings, reads_only_a_gpu
from steelyard.analysis.energy_names import ENERGY_NAME, IDLE_NAME, LOADED_NAME, UNCERTAINTY_SUFFIX, low_confidence
from steelyard.stats.energy import (
    BASELINE_DRIFT,
    NOT_DISTINGUISHABLE,
    Baseline,
    RoundEnergy,
    Uncertain,
    baseline,
    is_distinguishable,
    net_over_rounds,
    over_rounds,
)
from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.formatting import format_estimate, format_value
from steelyard_protocol.v1 import common_pb2, result_pb2

NO_BASELINE = "no idle baseline was measured (--idle-window)"
IDLE_ROLES = (result_pb2.BLOCK_ROLE_IDLE_BEFORE, result_pb2.BLOCK_ROLE_IDLE_AFTER)
_NOT_RUN = "the energy pass did not run"


@dataclass(frozen=True, slots=True)
class Source:
    """Where readings come from; those of different sources or scopes are never mixed."""

    name: str
    scope: common_pb2.ReadingScope.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantEnergy:
    """What the energy rounds say of one model; ``source`` is None when none of them told a value."""

    source: Source | None
    rounds: tuple[RoundEnergy, ...]
    # Why there is no value, or which confidence the values lack.
    reason: str = ""


def variant_energy(rounds: Sequence[result_pb2.RoundResult], label: str, no_energy_because: str = "") -> VariantEnergy:
    """Return the energies of ``label`` in energy rounds that count, all of the one source that covers most.

    One source for all rounds: a rail that answered where the module's sum fell silent is another quantity.
    """
    blocks = [(one, block) for one in rounds for block in one.blocks if block.label == label and not block.role]
    readings = [one for _, block in blocks for one in energy_readings(block.readings, block.providers)]
    first = next((one for one in readings if one.HasField("value")), None)
    if first is None:
        reason = next((one.reason for one in reversed(readings) if one.reason), "")
        if not reason and any(reads_only_a_gpu(block.readings) for _, block in blocks):
            reason = NOT_ON_THE_GPU
        return VariantEnergy(source=None, rounds=(), reason=reason or no_energy_because or _NOT_RUN)
    source = Source(first.source, first.scope)
    mine = [(one, block, _read(block, ENERGY_NAME, source)) for one, block in blocks]
    energies = [_energy(one, block, gross, source) for one, block, gross in mine if gross is not None]
    return VariantEnergy(source=source, rounds=tuple(energies), reason=_lacking(readings, source))


def gross_energy(energy: VariantEnergy, confidence: float) -> Estimate:
    """Return J per inference, idle included."""
    if not energy.rounds:
        return unknown("J", energy.reason, confidence=confidence)
    return over_rounds([one.gross for one in energy.rounds], "J", confidence)


def net_energy(energy: VariantEnergy, confidence: float) -> Estimate:
    """Return J per inference above idle; one that cannot be told from idle has that as its reason."""
    nets = [one.net for one in energy.rounds if one.net is not None]
    if not nets:
        reason = energy.rounds[-1].why_no_idle if energy.rounds else energy.reason
        return unknown("J", reason or "the device told no energy window", confidence=confidence)
    return net_over_rounds(nets, "J", confidence)


def mean_power(energy: VariantEnergy, confidence: float) -> Estimate:
    """Return the mean power of the energy windows, in W."""
    powers = [one.mean_power for one in energy.rounds if one.mean_power is not None]
    if not powers:
        reason = "the device told no energy window" if energy.rounds else energy.reason
        return unknown("W", reason, confidence=confidence)
    return over_rounds(powers, "W", confidence)


def loading_note(energy: VariantEnergy) -> str:
    """Return what the loaded model draws by itself, "" where nobody looked."""
    loadings = [one.loading for one in energy.rounds if one.loading is not None]
    loading = net_over_rounds(loadings, "W")
    if loading.value is None:
        return ""
    if not is_distinguishable(loadings):
        return f"loaded and asleep its power is {NOT_DISTINGUISHABLE}"
    power = format_estimate(loading) if loading.has_interval else format_value(loading.value, loading.unit)
    return f"loaded and asleep it draws {power} above idle"


def idle_power(rounds: Sequence[result_pb2.RoundResult], source: Source | None, confidence: float) -> Estimate:
    """Return the idle power of a source over the energy rounds that count, in W."""
    if source is None or not rounds:
        return unknown("W", _NOT_RUN, confidence=confidence)
    found = [_baseline(one, source) for one in rounds]
    known = [one.power for one in found if isinstance(one, Baseline)]
    if not known:
        return unknown("W", next(one for one in found if isinstance(one, str)), confidence=confidence)
    return over_rounds(known, "W", confidence)


def drift_warnings(rounds: Sequence[result_pb2.RoundResult], source: Source | None) -> list[str]:
    """Return a sentence where the two baselines of energy rounds are not of one state."""
    return drift_warning([_baseline(one, source) for one in rounds], source.name) if source is not None else []


def drift_warning(baselines: Sequence[Baseline | str], source: str) -> list[str]:
    """Return a sentence on the rounds whose two baselines are not of one state, with the first of them."""
    drifted = [one.drifted for one in baselines if isinstance(one, Baseline) and one.drifted]
    if not drifted:
        return []
    first = f"idle power was {drifted[0]}" + (" in the first of them" if len(drifted) > 1 else "")
    count = f"{len(drifted)} of {len(baselines)} energy rounds"
    advice = "net energy is as uncertain: let the device settle and measure again"
    return [f"{BASELINE_DRIFT} in {count}: {first} ({source}); {advice}"]


def idle_blocks(one: result_pb2.RoundResult) -> Iterator[result_pb2.BlockResult]:
    """Return the idle blocks of a round."""
    return (block for block in one.blocks if block.role in IDLE_ROLES)


def inference_seconds(window: result_pb2.EnergyWindow) -> float | None:
    """Return a window's length over its inferences, None where the device told no such window."""
    length_ns = window.end_ns - window.start_ns
    return length_ns / 1e9 / window.inference_count if length_ns > 0 and window.inference_count > 0 else None


def _energy(
    one: result_pb2.RoundResult, block: result_pb2.BlockResult, gross: Uncertain, source: Source
) -> RoundEnergy:
    found = _baseline(one, source)
    return RoundEnergy(
        gross=gross,
        inference_s=inference_seconds(block.energy_window),
        idle=found if isinstance(found, Baseline) else None,
        why_no_idle=found if isinstance(found, str) else "",
        loaded_w=_read(block, LOADED_NAME, source),
    )


def _baseline(one: result_pb2.RoundResult, source: Source) -> Baseline | str:
    """Return the idle power of a round at a source, or why it is not known."""
    powers: dict[int, Uncertain | None] = {}
    reasons = []
    for block in idle_blocks(one):
        powers[block.role] = _read(block, IDLE_NAME, source)
        if powers[block.role] is None:
            reasons.append(block.error.message or _why_silent(block, source))
    found = baseline(*(powers.get(role) for role in IDLE_ROLES))
    return found if found is not None else next(iter(reasons), NO_BASELINE)


def _why_silent(block: result_pb2.BlockResult, source: Source) -> str:
    readings = [one for one in block.readings if one.name == IDLE_NAME]
    mine = next((one for one in readings if _is_of(one, source)), None)
    return mine.reason if mine is not None else f"{source.name} told nothing in the idle baseline"


def _read(block: result_pb2.BlockResult, name: str, source: Source) -> Uncertain | None:
    values = {one.name: one.value for one in block.readings if _is_of(one, source) and one.HasField("value")}
    if block.status != result_pb2.BLOCK_STATUS_OK or name not in values:
        return None
    return Uncertain(value=values[name], expanded=values.get(name + UNCERTAINTY_SUFFIX))


def _is_of(reading: common_pb2.Reading, source: Source) -> bool:
    return (reading.source, reading.scope) == (source.name, source.scope)


def _lacking(readings: Sequence[common_pb2.Reading], source: Source) -> str:
    return low_confidence(one.reason for one in readings if _is_of(one, source) and one.HasField("value"))
