"""Whether the device changed while a measurement was interrupted or before it was extended: what to warn of."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from steelyard.analysis.variant_rounds import VariantRounds, paired_medians
from steelyard.stats.segments import segment_jump
from steelyard_protocol.v1 import result_pb2


def segment_warnings(variants: Sequence[VariantRounds]) -> list[str]:
    """Return a sentence for each variant whose medians, or whose ratio to the first variant, jump between segments.

    Levels drift together, ratios do not: a jump that the drift of the levels hides can still be seen in the ratio.
    """
    warnings = [(one.label, _jump(one.medians_ns(), _segments(one))) for one in variants]
    for one in variants[1:]:
        before, after = paired_medians(variants[0], one)
        ratios = [first / second for first, second in zip(before, after, strict=True)]
        in_both = {timed.round_index for timed in variants[0].timed}
        segments = [timed.segment for timed in one.timed if timed.round_index in in_both]
        warnings.append((f"speed-up of {one.label}", _jump(ratios, segments)))
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


def _segments(variant: VariantRounds) -> Iterable[int]:
    return (timed.segment for timed in variant.timed)


def _jump(values: Iterable[float], segments: Iterable[int]) -> str | None:
    by_segment: dict[int, list[float]] = {}
    for value, segment in zip(values, segments, strict=True):
        by_segment.setdefault(segment, []).append(value)
    return segment_jump(by_segment)
