"""A variant beside the reference: the comparison of their times, and the speed-up."""

from __future__ import annotations

from steelyard.analysis.emulation import not_a_latency
from steelyard.analysis.stop import LookConfidence
from steelyard.analysis.variant_rounds import VariantRounds, paired_times
from steelyard.stats.comparison import Comparison, ComparisonVerdict, compare_rounds
from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.thresholds import Thresholds


def comparison_of(
    reference: VariantRounds, candidate: VariantRounds, look: LookConfidence, thresholds: Thresholds
) -> Comparison | None:
    """Compare the paired times of both; None where no round holds both, undecided for an emulated device."""
    before, after = paired_times(reference, candidate)
    if before and candidate.emulated_by:
        reason = not_a_latency(candidate.emulated_by)
        nothing = unknown("ratio", reason, confidence=look.difference)
        return Comparison(
            verdict=ComparisonVerdict.UNDECIDED,
            ratio=nothing,
            speedup=nothing,
            more_round_count=None,
            because=f"undecided: {reason}",
            detectable_effect=unknown("fraction", reason, confidence=look.difference),
        )
    if not before:
        return None
    return compare_rounds(
        before,
        after,
        confidence=look.difference,
        equivalence_confidence=look.equivalence,
        thresholds=thresholds,
    )


def speedup_of(
    comparison: Comparison | None, rounds: VariantRounds, reference: VariantRounds, confidence: float
) -> Estimate:
    """Return the reference's time over the variant's, or why there is none."""
    if comparison is not None:
        return comparison.speedup
    why = reference.why_nothing() if not reference.timed else rounds.why_nothing()
    return unknown("ratio", why, confidence=confidence)
