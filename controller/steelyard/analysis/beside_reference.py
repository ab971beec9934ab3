"""A variant beside the reference: the comparison of their times, the speed-up, accuracy and what of it is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.emulation import not_a_latency
from steelyard.analysis.stop import LookConfidence
from steelyard.analysis.variant_rounds import VariantRounds, paired_times
from steelyard.stats.accuracy import paired_drop, wilson
from steelyard.stats.comparison import Comparison, ComparisonVerdict, compare_rounds
from steelyard.stats.estimate import Estimate, exact, unknown
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


def accuracy_of(
    rounds: VariantRounds, correct: NDArray[np.bool_] | None, *, has_task: bool, confidence: float
) -> Estimate:
    """Return the share of evaluated samples that were right; ``correct`` is bool [N], None without outputs."""
    if correct is not None:
        return wilson(int(np.count_nonzero(correct)), int(correct.size), confidence)
    if not has_task:
        return unknown("fraction", "no task was named (--task FILE)", confidence=confidence)
    reason = rounds.failed[0].error.message if rounds.failed else "the evaluation did not run"
    return unknown("fraction", reason, confidence=confidence)


def drop_of(
    correct: NDArray[np.bool_] | None,
    reference_correct: NDArray[np.bool_] | None,
    *,
    is_reference: bool,
    confidence: float,
) -> Estimate:
    """Return the percentage points that are lost against the reference, paired by sample."""
    if is_reference and correct is not None:
        return exact(0.0, "pp", confidence=confidence)
    if correct is None or reference_correct is None:
        return unknown("pp", "accuracy was not evaluated for both", confidence=confidence)
    return paired_drop(reference_correct, correct, confidence)
