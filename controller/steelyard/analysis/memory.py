"""Memory of a variant: by phase, the least that the device had left, and what the runtime's allocator held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from steelyard.analysis.emulation import not_its_own
from steelyard.analysis.variant_rounds import VariantRounds
from steelyard_protocol.v1 import measurement_pb2, plan_pb2, result_pb2

_MemoryField = Literal["resident_bytes", "anonymous_bytes", "file_bytes", "shared_bytes"]
_MEMORY_FIELDS: tuple[_MemoryField, ...] = ("resident_bytes", "anonymous_bytes", "file_bytes", "shared_bytes")


def median_memory(rounds: VariantRounds) -> result_pb2.MemoryProfile:
    """Return the median over rounds of each phase and of the peak."""
    profile = result_pb2.MemoryProfile()
    blocks = [timed.block for timed in rounds.timed]
    if rounds.emulated_by or not blocks:
        profile.reason = not_its_own(rounds.emulated_by) if rounds.emulated_by else rounds.why_nothing()
        return profile
    for phase in blocks[-1].memory.phases:
        merged = profile.phases.add(name=phase.name)
        same = [one for block in blocks for one in block.memory.phases if one.name == phase.name]
        for field in _MEMORY_FIELDS:
            values = [getattr(one, field) for one in same if one.HasField(field)]
            if values:
                setattr(merged, field, int(np.median(values)))
    peaks = [block.memory.peak_resident_bytes for block in blocks if block.memory.HasField("peak_resident_bytes")]
    if peaks:
        profile.peak_resident_bytes = int(np.median(peaks))
    profile.peak_source = blocks[-1].memory.peak_source
    profile.reason = blocks[-1].memory.reason
    return profile


def add_device_memory(
    plan: plan_pb2.Plan,
    variants: Sequence[measurement_pb2.VariantMeasurement],
    rounds: Sequence[result_pb2.RoundResult],
) -> None:
    """Add the least available memory over a variant's timed blocks, and its arena, or why that is not known.

    Of blocks that failed too: a model that took all memory is the one whose least counts.
    """
    for variant in variants:
        blocks = [(one.pass_kind, block) for one in rounds for block in one.blocks if block.label == variant.label]
        timed = [block for pass_kind, block in blocks if pass_kind == result_pb2.PASS_LATENCY]
        least = [one.memory.least_available_bytes for one in timed if one.memory.HasField("least_available_bytes")]
        if least:
            variant.memory.least_available_bytes = min(least)
        checked = next((block for pass_kind, block in blocks if pass_kind == result_pb2.PASS_NUMERIC), None)
        _add_arena(plan, variant.memory, checked)


def _add_arena(plan: plan_pb2.Plan, memory: result_pb2.MemoryProfile, checked: result_pb2.BlockResult | None) -> None:
    if checked is not None and checked.memory.HasField("arena_bytes"):
        memory.arena_bytes = checked.memory.arena_bytes
        memory.arena_source = checked.memory.arena_source
    elif checked is not None:
        memory.arena_source = checked.memory.arena_source or checked.error.message or "the device did not tell"
    elif not plan.HasField("numeric"):
        memory.arena_source = "it is read with the numeric check, which was switched off (--no-numeric-check)"
    else:
        memory.arena_source = plan.numeric.reason or "the numeric check, with which it is read, did not run"
