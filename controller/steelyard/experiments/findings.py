"""What an experiment allows to be said: means over seeds with both kinds of spread, and differences between recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from steelyard.experiments.record import ExperimentRecipe
from steelyard.stats.seeds import PairedSeeds, SeedSummary, SeedValue, holm, pair_seeds, summarize_seeds

# A recipe that draws nothing, or a training that brought nothing better than the weights it came with.
ONE_FILE = "every seed gave the same file, which counts once"
_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentMetric:
    """A figure that models are compared by. ``device`` "" is the controller; ``is_claimed``: claims are made of it."""

    name: str
    device: str
    unit: str
    is_claimed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedFigure:
    """One figure of one training; what is not known is None, and ``reason`` says why.

    ``low`` and ``high`` are its own interval: over rounds for times, over the evaluation samples for scores.
    ``variance`` is that of measuring it again, without what moves all models of a recipe alike where they were measured
    in the same rounds: 0 for scores, since the same samples give the same answers.
    """

    recipe: str
    seed: int
    digest: str
    metric: ExperimentMetric
    value: float | None = None
    low: float | None = None
    high: float | None = None
    variance: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFinding:
    """A metric of a recipe over its seeds; ``summary`` None and a ``reason`` where no seed has the figure.

    ``own_half_width`` is half of a single figure's interval in the mean: how sure one model's figure is by itself.
    """

    recipe: str
    metric: ExperimentMetric
    summary: SeedSummary | None
    own_half_width: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeClaim:
    """The second recipe less the first in a metric, by seed.

    ``adjusted_p`` is for all claims of the experiment together (Holm), None where nothing can be told; ``holds`` says
    whether it is below 0.05. ``reason`` says why not.
    """

    metric: ExperimentMetric
    first: str
    second: str
    paired: PairedSeeds | None
    adjusted_p: float | None
    holds: bool
    reason: str

    @property
    def test(self) -> tuple[str, str, str, PairedSeeds | None]:
        """What is tested: where models give the same answers on two devices, both claims rest on one test."""
        return self.metric.name, self.first, self.second, self.paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that an experiment says."""

    recipes: tuple[RecipeFinding, ...]
    claims: tuple[RecipeClaim, ...]


def find(recipes: Sequence[ExperimentRecipe], figures: Sequence[SeedFigure]) -> Findings:
    """Return the findings over the figures; claims are of pairs of recipes, and of each with its baselines."""
    metrics = list(dict.fromkeys(one.metric for one in figures))
    told = {
        (recipe.name, metric): [one for one in figures if one.recipe == recipe.name and one.metric == metric]
        for recipe in recipes
        for metric in metrics
    }
    pairs = _pairs(recipes)
    claims = [
        _claim(metric, first, second, told[first, metric], told[second, metric])
        for metric in metrics
        if metric.is_claimed
        for first, second in pairs
    ]
    return Findings(
        recipes=tuple(_finding(*key, told[key]) for key in told if told[key]), claims=tuple(_adjusted(claims))
    )


def _pairs(recipes: Sequence[ExperimentRecipe]) -> list[tuple[str, str]]:
    plain = [one.name for one in recipes if not one.baseline_of]
    return [*combinations(plain, 2), *((one.name, one.baseline_of) for one in recipes if one.baseline_of)]


def _known(figures: Sequence[SeedFigure]) -> list[SeedValue]:
    return [
        SeedValue(seed=one.seed, value=one.value, variance=one.variance) for one in figures if one.value is not None
    ]


def _is_one_file(figures: Sequence[SeedFigure]) -> bool:
    return len(figures) > 1 and len({one.digest for one in figures}) == 1


def _is_one_figure(figures: Sequence[SeedFigure]) -> bool:
    """Whether one measurement stands for every seed: its error would be shared by all differences, and not be seen."""
    return _is_one_file(figures) and any(one.variance != 0.0 for one in figures)


def _finding(recipe: str, metric: ExperimentMetric, figures: Sequence[SeedFigure]) -> RecipeFinding:
    values = _known(figures)
    halves = [(one.high - one.low) / 2 for one in figures if one.low is not None and one.high is not None]
    one_file = _is_one_file(figures)
    summary = summarize_seeds(values[:1] if one_file else values) if values else None
    missing = next((one.reason for one in figures if one.value is None), "")
    return RecipeFinding(
        recipe=recipe,
        metric=metric,
        summary=summary,
        own_half_width=sum(halves) / len(halves) if halves else None,
        reason=ONE_FILE if one_file else missing or (summary.reason if summary is not None else ""),
    )


def _claim(
    metric: ExperimentMetric, first: str, second: str, before: Sequence[SeedFigure], after: Sequence[SeedFigure]
) -> RecipeClaim:
    known = _known(before), _known(after)
    paired = pair_seeds(*known) if all(known) else None
    reason = ""
    if paired is None:
        reason = "no seed has the figure of both"
    elif _is_one_file(before) and _is_one_file(after):
        reason = "every seed gave the same two files: more seeds are no more evidence"
    elif any(_is_one_figure(one) for one in (before, after)):
        reason = "one of them is one file, timed once: `steelyard compare` tells the two apart"
    elif paired.count == 1:
        reason = "one seed tells no difference from luck; train with more"
    return RecipeClaim(
        metric=metric, first=first, second=second, paired=paired, adjusted_p=None, holds=False, reason=reason
    )


def _p_value(paired: PairedSeeds) -> float:
    """Return Student's, or the exact one where all differences are the same and the t test has no spread to go by."""
    if paired.t_p_value is None or paired.low == paired.high:
        return paired.p_value
    return paired.t_p_value


def _adjusted(claims: Sequence[RecipeClaim]) -> list[RecipeClaim]:
    tests = list(dict.fromkeys(one.test for one in claims if not one.reason))
    adjusted = dict(zip(tests, holm([_p_value(paired) for *_, paired in tests if paired]), strict=True))
    return [one if one.reason else _judged(one, adjusted[one.test]) for one in claims]


def _judged(claim: RecipeClaim, adjusted_p: float) -> RecipeClaim:
    holds = adjusted_p < _LEVEL
    return RecipeClaim(
        metric=claim.metric,
        first=claim.first,
        second=claim.second,
        paired=claim.paired,
        adjusted_p=adjusted_p,
        holds=holds,
        reason="" if holds else "these seeds cannot tell the two apart",
    )
