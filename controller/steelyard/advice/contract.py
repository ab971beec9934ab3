"""What advice is made of. Everything that it says of a speed or a size is a claim that a measurement can check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

SPEEDUP = "speedup"
SIZE_RATIO = "size_ratio"
REDUCE_RANGE = "reduce_range"
_FIGURES = (SPEEDUP, SIZE_RATIO, REDUCE_RANGE)


class ClaimVerdict(Enum):
    """Whether a measurement bears a claim out."""

    HELD = "held"
    WRONG = "wrong"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure that was measured, with the ends of its interval."""

    low: float
    value: float
    high: float

    def __post_init__(self) -> None:
        """Refuse ends in the wrong order and what is no number."""
        if not (self.low <= self.value <= self.high):
            raise ValueError(f"{self.low} <= {self.value} <= {self.high} does not hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A figure of the variants of ``recipe`` (in one word) lies between ``low`` and ``high``.

    ``figure`` is "speedup" (over the original, above 1 is faster), "size_ratio" (the file, over the original's) or
    "reduce_range" (1: the weights have 7 bits).
    """

    recipe: str
    figure: str
    low: float = 0.0
    high: float = math.inf

    def __post_init__(self) -> None:
        """Refuse a figure that nobody measures and bounds that nothing could be outside of."""
        if self.figure not in _FIGURES:
            raise ValueError(f"{self.figure!r} is not one of {', '.join(_FIGURES)}")
        if not 0.0 <= self.low <= self.high or (self.low, self.high) == (0.0, math.inf):
            raise ValueError(f"a {self.figure} from {self.low} to {self.high} claims nothing")

    def check(self, seen: Interval | None) -> ClaimVerdict:
        """Hold the claim against a measured interval: wrong only when the whole of it lies outside."""
        if seen is None:
            return ClaimVerdict.NOT_MEASURED
        if seen.low > self.high or seen.high < self.low:
            return ClaimVerdict.WRONG
        if self.low <= seen.low and seen.high <= self.high:
            return ClaimVerdict.HELD
        return ClaimVerdict.UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The speed-up that is expected, as a range, and what that rests on; a prior, never a measurement."""

    low: float
    high: float
    evidence: str

    def __post_init__(self) -> None:
        """Refuse a range that is none and a range that rests on nothing."""
        if not 0.0 < self.low <= self.high or not math.isfinite(self.high):
            raise ValueError(f"{self.low} to {self.high} is no range of speed-ups")
        if not self.evidence:
            raise ValueError("an expectation names what it rests on")

    @property
    def middle(self) -> float:
        """The middle of the range, on a scale of ratios."""
        return math.sqrt(self.low * self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisedRecipe:
    """A recipe to try, in one word; ``expectation`` is None where nothing is known of its speed.

    ``saves_only_space``: it is for the file, and no faster. ``needs`` says what is missing to run it, "" for nothing.
    """

    rule: str
    recipe: str
    reason: str
    expectation: Expectation | None = None
    saves_only_space: bool = False
    needs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceWarning:
    """What to know before time is spent; ``claims`` are what a measurement can hold against it."""

    id: str
    text: str
    claims: tuple[Claim, ...]

    def __post_init__(self) -> None:
        """Refuse a warning that nothing could prove wrong."""
        if not self.claims:
            raise ValueError(f"the warning {self.id!r} claims nothing; make it a note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Recipes in the order in which to try them, warnings, and notes: what is known, and what is not."""

    recipes: tuple[AdvisedRecipe, ...]
    warnings: tuple[AdviceWarning, ...]
    notes: tuple[str, ...]

    @property
    def keeps_model(self) -> bool:
        """Whether the model as it is comes before every recipe: all that are to save time are expected to be slower."""
        for_time = [one for one in self.recipes if not one.saves_only_space]
        return all(one.expectation is not None and one.expectation.middle < 1.0 for one in for_time)

    def to_try(self, count: int) -> tuple[AdvisedRecipe, ...]:
        """Return the first ``count`` recipes for which nothing is missing."""
        return tuple(one for one in self.recipes if not one.needs)[:count]
