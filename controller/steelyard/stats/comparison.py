"""Two artifacts measured in the same rounds: is one faster, and how sure is that."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from steelyard.stats.estimate import Estimate
from steelyard.stats.formatting import format_estimate
from steelyard.stats.percentiles import value_over_rounds
from steelyard.stats.student import MIN_ROUND_COUNT, MeanInterval, mean_interval, t_quantile

DEFAULT_CONFIDENCE = 0.99
DEFAULT_MINIMUM_EFFECT = 0.02
SPEEDUP_CONFIDENCE = 0.95
POWER = 0.8
# Beyond this many rounds a device would be busy for hours: there is no use in naming a figure.
_MOST_ROUNDS = 2000


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
    ``speedup`` is the same figure at 95 %, for tables. ``more_round_count`` is how many more
    would probably decide, None when decided or when no practical number would.
    """

    verdict: ComparisonVerdict
    ratio: Estimate
    speedup: Estimate
    more_round_count: int | None
    because: str

    @property
    def round_count(self) -> int:
        """How many rounds were compared."""
        return self.ratio.observation_count


def compare_rounds(
    reference: Sequence[float],
    candidate: Sequence[float],
    *,
    confidence: float = DEFAULT_CONFIDENCE,
    minimum_effect: float = DEFAULT_MINIMUM_EFFECT,
) -> Comparison:
    """Compare two artifacts by their medians per round: a paired t interval on the log ratios.

    Args:
        reference: One figure per round (the round's median), any unit, above 0.
        candidate: The same rounds, in the same order.
        confidence: Of the interval that decides; with several looks, ``StopRule.look_confidence`` of it.
        minimum_effect: The smallest relative difference that matters.

    Returns:
        FASTER or SLOWER when the interval excludes 1 and the effect is at least the minimum; NO_DIFFERENCE when the
        whole interval is within the minimum effect; otherwise UNDECIDED.

    Raises:
        ValueError: the rounds do not pair up, or a figure is not above 0.
    """
    if not 0.0 < minimum_effect < 1.0:
        raise ValueError(f"a minimum effect lies between 0 and 1 (0.02 is 2 %), not {minimum_effect!r}")
    ratios = _paired_ratios(reference, candidate)
    ratio = value_over_rounds(ratios.tolist(), "ratio", confidence)
    speedup = value_over_rounds(ratios.tolist(), "ratio", SPEEDUP_CONFIDENCE)
    if ratios.size < MIN_ROUND_COUNT:
        missing = MIN_ROUND_COUNT - int(ratios.size)
        return Comparison(
            verdict=ComparisonVerdict.UNDECIDED,
            ratio=ratio,
            speedup=speedup,
            more_round_count=missing,
            because=f"undecided: {ratios.size} rounds in common, at least {MIN_ROUND_COUNT} are needed",
        )
    interval = mean_interval(np.log(ratios), confidence)
    smallest = math.log1p(minimum_effect)
    verdict = _verdict(interval, smallest)
    more = _more_rounds(interval, confidence, smallest) if verdict is ComparisonVerdict.UNDECIDED else None
    return Comparison(
        verdict=verdict,
        ratio=ratio,
        speedup=speedup,
        more_round_count=more,
        because=_because(verdict, ratio, minimum_effect, more),
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


def _verdict(interval: MeanInterval, smallest: float) -> ComparisonVerdict:
    if -smallest < interval.low and interval.high < smallest:
        return ComparisonVerdict.NO_DIFFERENCE
    if interval.low > 0.0 and interval.mean >= smallest:
        return ComparisonVerdict.FASTER
    if interval.high < 0.0 and interval.mean <= -smallest:
        return ComparisonVerdict.SLOWER
    return ComparisonVerdict.UNDECIDED


def _reach(deviation: float, count: int, confidence: float) -> float:
    """Return the log effect whose interval excludes 0 with a probability of ``POWER`` over ``count`` rounds."""
    quantiles = t_quantile(0.5 + confidence / 2.0, count - 1) + t_quantile(POWER, count - 1)
    return quantiles * deviation / math.sqrt(count)


def _more_rounds(interval: MeanInterval, confidence: float, smallest: float) -> int | None:
    size = abs(interval.mean)
    distance = size if size >= smallest else smallest - size
    counts = range(interval.count + 1, _MOST_ROUNDS + 1)
    index = bisect_left(counts, True, key=lambda count: _reach(interval.deviation, count, confidence) <= distance)
    return index + 1 if index < len(counts) else None


def _because(verdict: ComparisonVerdict, ratio: Estimate, minimum_effect: float, more: int | None) -> str:
    figures = f"{format_estimate(ratio)} at {ratio.confidence * 100:.4g} % over {ratio.observation_count} rounds"
    if verdict is ComparisonVerdict.FASTER:
        return f"faster: {figures}"
    if verdict is ComparisonVerdict.SLOWER:
        return f"slower: {figures}"
    if verdict is ComparisonVerdict.NO_DIFFERENCE:
        return f"no difference as small as {minimum_effect * 100:.3g} %: {figures}"
    if more is None:
        return f"undecided: {figures}, and no practical number of rounds would settle it"
    return f"undecided: {figures}; about {more} more round{'s' if more > 1 else ''} would probably settle it"
