"""Whether the device changed while a measurement was interrupted or before it was extended: what to warn of."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from steelyard.analysis.variant_rounds import VariantRounds
from steelyard.stats.segments import segment_jump
from steelyard_protocol.v1 import result_pb2


def segment_warnings(variants: Sequence[VariantRounds]) -> list[str]:
    """Return a sentence for each variant whose medians, or whose ratio to the first variant, jump between segments.

    Levels drift together, ratios do not: a jump that the drift of the levels hides can still be seen in the ratio.
    """
    warnings = [(one.label, _jump(one.primary_times_ns(), _segments(one))) for one in variants]
    for one in variants[1:]:
        before, after = variants[0].primary_times_ns(), one.primary_times_ns()
        ratios = {index: before[index] / after[index] for index in before if index in after}
        warnings.append((f"speed-up of {one.label}", _jump(ratios, _segments(one))))
    return [f"{what}: {note}" for what, note in warnings if note]


def changed_circumstances(rounds: Sequence[result_pb2.RoundResult]) -> list[str]:
    """Return a sentence for each circumstance and each runtime that is another one in a later segment."""
    seen: dict[str, dict[int, dict[str, None]]] = {}
    for one in rounds:
        for block in one.blocks:
            told = {each.name.replace("_", " "): each.value for each in block.circumstances if each.HasField("value")}
            if block.runtime_version:
                told[f"{block.runtime_name} for {block.label}"] = block.runtime_version
            for name, value in told.items():
                seen.setdefault(name, {}).setdefault(one.segment, {})[value] = None
    return [text for name, by_segment in seen.items() if (text := _change(name, by_segment))]


def _change(name: str, by_segment: Mapping[int, Iterable[str]]) -> str:
    """Return what changed at the first segment with other values than the one before it, "" for nothing."""
    for before, after in itertools.pairwise(sorted(by_segment)):
        old, new = (sorted(by_segment[one]) for one in (before, after))
        if old != new:
            return (
                f"{name} was {' and '.join(old)} in segment {before} and {' and '.join(new)} in segment {after}: "
                "figures over both mix the two"
            )
    return ""


def _segments(variant: VariantRounds) -> dict[int, int]:
    return {timed.round_index: timed.segment for timed in variant.timed}


def _jump(values: Mapping[int, float], segments: Mapping[int, int]) -> str | None:
    """Return what jumps between segments; both are by the number of the round."""
    by_segment: dict[int, list[float]] = {}
    for index, value in values.items():
        by_segment.setdefault(segments[index], []).append(value)
    return segment_jump(by_segment)
