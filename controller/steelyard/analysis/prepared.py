"""What compiling on the device took, and whether what was timed afterwards really came from the cache."""

from __future__ import annotations

from steelyard.analysis.variant_rounds import VariantRounds
from steelyard.stats.estimate import Estimate, unknown

_ONE_BUILD = "built once on this device: there is no interval over one build"


def build_time(rounds: VariantRounds, confidence: float) -> Estimate | None:
    """Return the time of the one build (ns), None for a variant that nothing compiles.

    It covers the load that compiled and the first run; an earlier job's time where that job built.
    """
    block = rounds.preparation
    if block is None:
        return None
    if not block.HasField("build_ns"):
        return unknown(
            "ns", "the device found it compiled and no longer knows how long that took", confidence=confidence
        )
    return Estimate(
        value=float(block.build_ns),
        low=None,
        high=None,
        confidence=confidence,
        unit="ns",
        observation_count=1,
        reason=_ONE_BUILD,
    )


def loads_are_cached(rounds: VariantRounds) -> bool:
    """Return whether every timed load was proven to come from the cache."""
    return bool(rounds.timed) and rounds.preparation is not None and _missed(rounds) == 0


def cache_warning(rounds: VariantRounds) -> str:
    """Return what a reader must know of loads that compiled again, "" where all came from the cache."""
    missed = _missed(rounds) if rounds.preparation is not None else 0
    if not missed:
        return ""
    return (
        f"{rounds.label}: {missed} of {len(rounds.timed)} timed loads compiled the model again instead of taking it "
        "from the cache; its load time is not that of a cached load"
    )


def _missed(rounds: VariantRounds) -> int:
    return sum(not timed.block.prepared_cache_hit for timed in rounds.timed)
