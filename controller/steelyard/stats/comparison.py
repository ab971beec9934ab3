"""Two artifacts measured in the same rounds: is one faster, and how sure is that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.formatting import format_estimate
from steelyard.stats.percentiles import ratio_over_rounds
from steelyard.stats.power import detectable_effect, more_rounds
from steelyard.stats.signed_rank import SignedRank, signed_rank
from steelyard.stats.student import MIN_ROUND_COUNT, MeanInterval, mean_interval
from steelyard.stats.thresholds import Thresholds, percent

DEFAULT_CONFIDENCE = 0.99
EQUIVALENCE_CONFIDENCE = 0.95
SPEEDUP_CONFIDENCE = 0.95
# A cross-check contradicts only where it is clear itself.
_RANKS_SEE_NOTHING, _RANKS_SEE_IT = 0.05, 0.01


class ComparisonVerdict(Enum):
    """What a comparison allows to be said; the values are the wire's names without their prefix."""

    FASTER = "FASTER"
    SLOWER = "SLOWER"
    NO_DIFFERENCE = "NO_DIFFERENCE"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The candidate against the reference, paired by round.

    ``ratio`` is reference time over candidate time (above 1 is faster) with the interval that decided the verdict;
    ``speedup`` is the same figure at 95 %, for tables. ``more_round_count`` is how many more would probably decide,
    None when decided or when no practical number would. ``detectable_effect`` is the least true change (a fraction)
    whose 99 % interval would have excluded 1 in four of five such measurements. ``ranks`` is the cross-check, None
    below three rounds; ``contradiction`` is a sentence where it contradicts the verdict, "" where it does not.
    """

    verdict: ComparisonVerdict
    ratio: Estimate
    speedup: Estimate
    more_round_count: int | None
    because: str
    detectable_effect: Estimate
    ranks: SignedRank | None = None
    contradiction: str = ""

    @property
    def round_count(self) -> int:
        """How many rounds were compared."""
        return self.ratio.observation_count


def compare_rounds(
    reference: Sequence[float],
    candidate: Sequence[float],
    *,
    confidence: float = DEFAULT_CONFIDENCE,
    equivalence_confidence: float = EQUIVALENCE_CONFIDENCE,
    thresholds: Thresholds | None = None,
) -> Comparison:
    """Compare two artifacts by their medians per round: a paired t interval on the log ratios.

    Args:
        reference: One figure per round (the round's median), any unit, above 0.
        candidate: The same rounds, in the same order.
        confidence: Of the interval that decides on faster and slower; with several looks,
            ``StopRule.look_confidence`` of it.
        equivalence_confidence: The same for "no difference".
        thresholds: Which changes matter; 2 % and 3 % when left out.

    Returns:
        FASTER or SLOWER when the interval excludes 1 and the effect is at least the minimum; else NO_DIFFERENCE when
        the whole interval at ``equivalence_confidence`` is within the margin (two one-sided tests, Schuirmann 1987);
        otherwise UNDECIDED.

    Raises:
        ValueError: the rounds do not pair up, or a figure is not above 0.
    """
    thresholds = thresholds or Thresholds()
    ratios = _paired_ratios(reference, candidate)
    ratio, speedup = (ratio_over_rounds(ratios.tolist(), one) for one in (confidence, SPEEDUP_CONFIDENCE))
    if ratios.size < MIN_ROUND_COUNT:
        return _too_few(ratio, speedup)
    logs = np.log(ratios)
    wide, narrow = mean_interval(logs, confidence), mean_interval(logs, equivalence_confidence)
    verdict = _verdict(wide, narrow, thresholds)
    if verdict is ComparisonVerdict.NO_DIFFERENCE:
        ratio = ratio_over_rounds(ratios.tolist(), equivalence_confidence)
    more = None
    if verdict is ComparisonVerdict.UNDECIDED:
        more = _more_rounds(wide, confidence, equivalence_confidence, thresholds)
    ranks = signed_rank(logs)
    return Comparison(
        verdict=verdict,
        ratio=ratio,
        speedup=speedup,
        more_round_count=more,
        because=_because(verdict, ratio, thresholds, more),
        # Not at the look's confidence: early looks are strict for their number's sake, not for that of the rounds.
        detectable_effect=detectable_effect(wide, DEFAULT_CONFIDENCE),
        ranks=ranks,
        contradiction=_contradiction(verdict, ranks, thresholds),
    )


def _too_few(ratio: Estimate, speedup: Estimate) -> Comparison:
    count = ratio.observation_count
    needed = f"{count} round{'' if count == 1 else 's'} in common, at least {MIN_ROUND_COUNT} are needed"
    return Comparison(
        verdict=ComparisonVerdict.UNDECIDED,
        ratio=ratio,
        speedup=speedup,
        more_round_count=MIN_ROUND_COUNT - count,
        because=f"undecided: {needed}",
        detectable_effect=unknown("fraction", needed, confidence=ratio.confidence, observation_count=count),
    )


def _paired_ratios(reference: Sequence[float], candidate: Sequence[float]) -> NDArray[np.float64]:
    if len(reference) != len(candidate):
        raise ValueError(f"rounds are compared in pairs: {len(reference)} of the reference, {len(candidate)} beside it")
    above = np.asarray(reference, dtype=np.float64)
    below = np.asarray(candidate, dtype=np.float64)
    both = np.concatenate([above, below])
    if not np.all(np.isfinite(both) & (both > 0.0)):
        raise ValueError("a comparison on the log scale takes finite figures above 0 only")
    return above / below


def _verdict(wide: MeanInterval, narrow: MeanInterval, thresholds: Thresholds) -> ComparisonVerdict:
    smallest, margin = math.log1p(thresholds.minimum_effect), math.log1p(thresholds.equivalence_margin)
    if wide.low > 0.0 and wide.mean >= smallest:
        return ComparisonVerdict.FASTER
    if wide.high < 0.0 and wide.mean <= -smallest:
        return ComparisonVerdict.SLOWER
    if -margin < narrow.low and narrow.high < margin:
        return ComparisonVerdict.NO_DIFFERENCE
    return ComparisonVerdict.UNDECIDED


def _more_rounds(
    interval: MeanInterval, confidence: float, equivalence_confidence: float, thresholds: Thresholds
) -> int | None:
    """Return how many more rounds would probably give the verdict that the mean points to."""
    size = abs(interval.mean)
    ways = []
    if size >= math.log1p(thresholds.minimum_effect):
        ways.append(more_rounds(interval, confidence, size))
    if size < math.log1p(thresholds.equivalence_margin):
        room = math.log1p(thresholds.equivalence_margin) - size
        ways.append(more_rounds(interval, equivalence_confidence, room))
    return min((count for count in ways if count is not None), default=None)


def _because(verdict: ComparisonVerdict, ratio: Estimate, thresholds: Thresholds, more: int | None) -> str:
    figures = f"{format_estimate(ratio)} at {ratio.confidence * 100:.4g} % over {ratio.observation_count} rounds"
    if verdict is ComparisonVerdict.FASTER:
        return f"faster: {figures}"
    if verdict is ComparisonVerdict.SLOWER:
        return f"slower: {figures}"
    if verdict is ComparisonVerdict.NO_DIFFERENCE:
        return f"no difference as small as {percent(thresholds.equivalence_margin)}: {figures}"
    if more is None:
        return f"undecided: {figures}, and no practical number of rounds would settle it"
    return f"undecided: {figures}; about {more} more round{'s' if more > 1 else ''} would probably settle it"


def _contradiction(verdict: ComparisonVerdict, ranks: SignedRank, thresholds: Thresholds) -> str:
    test = f"Wilcoxon's signed-rank test (p = {ranks.p_value:.2g}, median ratio {math.exp(ranks.centre):.3f}x)"
    advice = "look at the rounds one by one, a few of them are far off"
    if verdict in {ComparisonVerdict.FASTER, ComparisonVerdict.SLOWER}:
        sees_nothing = ranks.p_value > _RANKS_SEE_NOTHING >= ranks.least_p_value
        turned = ranks.centre < 0.0 if verdict is ComparisonVerdict.FASTER else ranks.centre > 0.0
        return f"{test} does not bear out {verdict.value.lower()}: {advice}" if sees_nothing or turned else ""
    sees_it = ranks.p_value <= _RANKS_SEE_IT and abs(ranks.centre) >= math.log1p(thresholds.minimum_effect)
    word = "faster" if ranks.centre > 0.0 else "slower"
    return f"{test} says {word}, the interval does not: {advice}" if sees_it else ""
