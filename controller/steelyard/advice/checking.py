"""Advice held against a measurement: which expectations and warnings it bears out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.advice.contract import (
    REDUCE_RANGE,
    SIZE_RATIO,
    Advice,
    AdvisedRecipe,
    Claim,
    ClaimVerdict,
    Interval,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a recipe: ``size_ratio`` is the file over the original's; None is what was not measured.

    ``reduce_range`` says whether its weights got 7 bits, None where no step of it has that setting. ``failure`` is why
    there is no variant or no figure, "" for none.
    """

    recipe: str
    label: str = ""
    speedup: Interval | None = None
    size_ratio: float | None = None
    drop: Interval | None = None
    reduce_range: bool | None = None
    failure: str = ""

    def seen(self, figure: str) -> Interval | None:
        """Return the figure of a claim, None where it was not measured."""
        if figure == SIZE_RATIO:
            return _exactly(self.size_ratio)
        if figure == REDUCE_RANGE:
            return _exactly(None if self.reduce_range is None else float(self.reduce_range))
        return self.speedup


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaim:
    """A claim of a warning with its verdict; ``warning`` is the warning's id, ``label`` the variant's."""

    warning: str
    claim: Claim
    label: str
    seen: Interval | None
    verdict: ClaimVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRecipe:
    """A recipe's expectation with what came of it."""

    advised: AdvisedRecipe
    outcome: Outcome
    verdict: ClaimVerdict


def check_claims(advice: Advice, outcomes: Sequence[Outcome]) -> list[CheckedClaim]:
    """Hold every claim of the warnings against the outcome of its recipe; those that nobody measured say so."""
    by_recipe = {one.recipe: one for one in outcomes}
    checked = []
    for warning in advice.warnings:
        for claim in warning.claims:
            outcome = by_recipe.get(claim.recipe)
            seen = None if outcome is None else outcome.seen(claim.figure)
            checked.append(
                CheckedClaim(
                    warning=warning.id,
                    claim=claim,
                    label="" if outcome is None else outcome.label,
                    seen=seen,
                    verdict=claim.check(seen),
                )
            )
    return checked


def check_recipes(advice: Advice, outcomes: Sequence[Outcome]) -> list[CheckedRecipe]:
    """Hold what was expected of each recipe that was run against what came of it."""
    by_recipe = {one.recipe: one for one in outcomes}
    return [
        CheckedRecipe(advised=one, outcome=by_recipe[one.recipe], verdict=_verdict(one, by_recipe[one.recipe]))
        for one in advice.recipes
        if one.recipe in by_recipe
    ]


def _verdict(advised: AdvisedRecipe, outcome: Outcome) -> ClaimVerdict:
    if advised.expectation is None:
        return ClaimVerdict.NOT_MEASURED if outcome.speedup is None else ClaimVerdict.UNDECIDED
    expected = advised.expectation
    return Claim(recipe=advised.recipe, figure="speedup", low=expected.low, high=expected.high).check(outcome.speedup)


def _exactly(value: float | None) -> Interval | None:
    return None if value is None else Interval(low=value, value=value, high=value)
