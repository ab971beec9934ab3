"""Whether the device changed while a measurement was interrupted or before it was extended: what to warn of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.analysis.variant_rounds import VariantRounds, paired_medians
from steelyard.stats.segments import segment_jump


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


def _segments(variant: VariantRounds) -> Iterable[int]:
    return (timed.segment for timed in variant.timed)


def _jump(values: Iterable[float], segments: Iterable[int]) -> str | None:
    by_segment: dict[int, list[float]] = {}
    for value, segment in zip(values, segments, strict=True):
        by_segment.setdefault(segment, []).append(value)
    return segment_jump(by_segment)
