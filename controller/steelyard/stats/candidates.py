"""What takes part in the choice of what to ship, and what the choice says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from steelyard.stats.comparison import Comparison, ComparisonVerdict
from steelyard.stats.estimate import Estimate, exact
from steelyard.stats.formatting import format_estimate, format_value
from steelyard.stats.requirements import Outcome, RequirementVerdict
from steelyard.stats.tolerance import Tolerance


class DecisionKind(Enum):
    """How a choice ends; the values are the wire's names without their prefix."""

    SHIP = "SHIP"
    KEEP_ORIGINAL = "KEEP_ORIGINAL"
    UNMET = "UNMET"
    UNDECIDED = "UNDECIDED"
    INCOMPLETE = "INCOMPLETE"


class Standing(Enum):
    """What is known about a variant's accuracy beside the tolerance."""

    WITHIN = "within"
    BEYOND = "beyond"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The original (``is_reference``) or a variant, with what was found about it.

    ``time`` (ns) is what candidates are compared by, the shorter the better; ``figure_name`` names it, and ``shown`` is
    the figure that people read instead, None for the time itself. ``failed`` says why it could not be measured, "" when
    it could. ``speedup`` and ``accuracy_drop`` are None for the reference; ``accuracy_drop`` is None too when there was
    no task. It is what a variant scores worse, whatever the score's direction is: in "pp" of a fraction, else in the
    score's unit; ``score_name`` is what the task measures, ``is_truth`` says that this one's outputs are what it
    measures against. ``is_same_model``: only settings differ from the original, which leave its outputs as they are.
    """

    label: str
    time: Estimate
    figure_name: str = "p50"
    shown: Estimate | None = None
    is_reference: bool = False
    size_bytes: int | None = None
    speedup: Comparison | None = None
    accuracy_drop: Estimate | None = None
    score_name: str = "accuracy"
    is_truth: bool = False
    is_same_model: bool = False
    outcomes: tuple[Outcome, ...] = ()
    failed: str = ""
    barred: str = ""

    def __post_init__(self) -> None:
        """Refuse figures in units that the choice does not read."""
        if not self.label:
            raise ValueError("a candidate has a label")
        if self.accuracy_drop is not None and self.accuracy_drop.unit == "fraction":
            raise ValueError(f"{self.label}: an accuracy drop is in 'pp', not {self.accuracy_drop.unit!r}")

    @property
    def speed(self) -> ComparisonVerdict:
        """The verdict on its speed; undecided when there is none."""
        return ComparisonVerdict.UNDECIDED if self.speedup is None else self.speedup.verdict

    @property
    def excluded(self) -> bool:
        """Whether it takes no part in the choice: it did not run, or must not be shipped."""
        return bool(self.failed or self.barred)

    @property
    def meets_all(self) -> bool:
        """Whether it ran and every requirement is met."""
        return not self.excluded and all(one.verdict is RequirementVerdict.MEETS for one in self.outcomes)

    @property
    def fails_any(self) -> bool:
        """Whether it cannot be shipped: it did not run, or a requirement is surely not met."""
        return self.excluded or any(one.verdict is RequirementVerdict.FAILS for one in self.outcomes)

    def standing(self, tolerance: Tolerance) -> Standing:
        """Return whether the accuracy drop is shown to be below the tolerance, shown not to be, or neither."""
        drop = self.accuracy_drop
        if drop is None and self.is_same_model:
            return Standing.WITHIN
        if drop is None or drop.low is None or drop.high is None or tolerance.limit is None:
            return Standing.UNKNOWN
        if drop.high < tolerance.limit:
            return Standing.WITHIN
        return Standing.BEYOND if drop.low >= tolerance.limit else Standing.UNSURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The decision: its kind, the candidate that it is about ("" for none), and one plain sentence for people."""

    kind: DecisionKind
    label: str
    sentence: str


def fastest(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the shortest time; among those that noise cannot tell from it, the smallest.

    Two speeds are told apart when the intervals of the times do not overlap, or those of the speed-ups, which are
    paired by round and so free of what all artifacts of a round shared.
    """
    first = min(candidates, key=_time)
    tied = [one for one in candidates if one is first or _tied(first, one)]
    return min(tied, key=lambda one: (math.inf if one.size_bytes is None else one.size_bytes, _time(one)))


def is_quicker(candidate: Candidate, other: Candidate) -> bool:
    """Whether ``candidate`` has the shorter time, by its value alone."""
    return _time(candidate) < _time(other)


def speed_words(candidate: Candidate) -> str:
    """Return "2.10x faster than the original (2.00x to 2.20x, p50 3.10 ms)", as far as it is known."""
    shown = candidate.time if candidate.shown is None else candidate.shown
    named = "" if shown.value is None else f"{candidate.figure_name} {format_value(shown.value, shown.unit)}"
    if candidate.speedup is None or candidate.speedup.speedup.value is None:
        return named or "of unknown speed"
    figure, _, interval = format_estimate(candidate.speedup.speedup).partition(" (")
    details = ", ".join(part for part in (interval.rstrip(")"), named) if part)
    faster = candidate.speedup.verdict is ComparisonVerdict.FASTER
    phrase = f"{figure} faster than the original" if faster else f"{figure} the speed of the original"
    return f"{phrase} ({details})" if details else phrase


def drop_words(candidate: Candidate) -> str:
    """Return "drop 0.1 pp, -0.3 to 0.5", "" when no drop is known."""
    if candidate.accuracy_drop is None or candidate.accuracy_drop.value is None:
        return ""
    figure, _, interval = format_estimate(candidate.accuracy_drop).partition(" (")
    return ", ".join(part for part in (f"drop {figure}", interval.rstrip(")")) if part)


def failure_words(candidates: Sequence[Candidate]) -> str:
    """Return "; x could not be measured (why)" for those that take no part, "" when there are none."""
    failed = [f"{one.label} {exclusion_words(one)}" for one in candidates if one.excluded]
    return f"; {listed(failed)}" if failed else ""


def exclusion_words(candidate: Candidate) -> str:
    """Return "could not be measured (why)" or "must not be shipped (why)" for one that takes no part."""
    if candidate.failed:
        return f"could not be measured ({candidate.failed.rstrip('.')})"
    return f"must not be shipped ({candidate.barred.rstrip('.')})"


def listed(parts: Sequence[str], most: int = 2) -> str:
    """Join the first ``most`` parts and count the rest: a sentence stays one."""
    rest = len(parts) - most
    shown = "; ".join(parts[:most])
    return f"{shown}; and {rest} more likewise" if rest > 0 else shown


def _time(candidate: Candidate) -> float:
    return math.inf if candidate.time.value is None else candidate.time.value


def _tied(one: Candidate, other: Candidate) -> bool:
    speedups = _speedup(one), _speedup(other)
    if speedups[0] is not None and speedups[1] is not None and not _overlap(speedups[0], speedups[1]):
        return False
    return _overlap(one.time, other.time)


def _speedup(candidate: Candidate) -> Estimate | None:
    if candidate.is_reference:
        return exact(1.0, "ratio")
    return None if candidate.speedup is None else candidate.speedup.speedup


def _overlap(one: Estimate, other: Estimate) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high
