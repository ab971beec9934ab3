"""Memory beside the phases: what the device had left at the least, and what the runtime's own allocator held."""

from __future__ import annotations

from steelyard.report.figures import failed
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2


def memory_facts(measurement: measurement_pb2.Measurement) -> tuple[tuple[str, str], ...]:
    """Return peak, least available memory and arena of each variant, as terms and texts."""
    facts = []
    for one in measurement.variants:
        memory = one.memory
        parts = [
            f"peak {format_value(memory.peak_resident_bytes, 'B')} ({memory.peak_source})"
            if memory.HasField("peak_resident_bytes")
            else "",
            f"{format_value(memory.least_available_bytes, 'B')} available on the device at the least"
            if memory.HasField("least_available_bytes")
            else "",
            _arena(one),
            memory.reason,
        ]
        text = "; ".join(part for part in parts if part)
        if text:
            facts.append((one.label, text))
    return tuple(facts)


def memory_sentences(measurement: measurement_pb2.Measurement) -> list[str]:
    """Return what a terminal says below its tables: one line on the device, one on arenas, as far as they are known."""
    ran = [one for one in measurement.variants if not failed(one)]
    least = [one.memory.least_available_bytes for one in ran if one.memory.HasField("least_available_bytes")]
    held = [
        f"{one.label} {format_value(one.memory.arena_bytes, 'B')}" for one in ran if one.memory.HasField("arena_bytes")
    ]
    sentences = [f"the device had {format_value(min(least), 'B')} of memory available at the least"] if least else []
    return [*sentences, *([f"the runtime's arena held at most: {', '.join(held)}"] if held else [])]


def _arena(variant: measurement_pb2.VariantMeasurement) -> str:
    memory = variant.memory
    if memory.HasField("arena_bytes"):
        return f"arena {format_value(memory.arena_bytes, 'B')} ({memory.arena_source})"
    return f"arena not known: {memory.arena_source}" if memory.arena_source else ""
