"""What the rounds of the advice benchmark say. Pure: recorded rounds in, rows and sentences out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.compression.paired_scores import ORIGINAL
from benchmarks.figures import Figure, binomial_share, geometric_mean
from steelyard.advice.contract import REDUCE_RANGE, SIZE_RATIO, SPEEDUP, Claim, ClaimVerdict, Interval

MOST_DROP_PP = 1.0
LEAST_SQNR_DB = 20.0
NEAR = 0.05
LEAST_SHARE = 0.8
# Ranges and some rules of advice were set after these had been measured (docs/advice.md).
SET_BY = frozenset({
    "digits", "tiny_resnet8", "tiny_wake_words", "tiny_keywords", "tiny_anomaly", "vad_teacher", "vad_small",
    "kws_on_off", "resemblyzer", "minilm",
})  # fmt: skip
# Nothing says that these were not looked at when the rules were written, so they are not counted as new.
AT_HAND = frozenset({"efficientnet_lite0", "magika", "textline", "faces", "faces_tflite"})
HEAD = [
    "model",
    "to advice",
    "advised first",
    "latency over the best",
    "best of three",
    "latency over the best",
    "best",
    "speed-up",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAdvice:
    """What was recorded of one model; latencies and losses are by the stem of a file, ``ORIGINAL`` for the model.

    ``keeps_model``: advice names the model as it is first, then ``advised``.
    """

    name: str
    advised: Sequence[str] = ()
    keeps_model: bool = False
    warnings: Sequence[Mapping[str, Any]] = ()
    made: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    median_ns: Mapping[str, Sequence[float | None]] | None = None
    losses: Mapping[str, float | None] | None = None
    against_parent: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it was made, timed and scored."""
        return bool(self.median_ns) and self.losses is not None

    @property
    def round_count(self) -> int:
        """How many rounds the model itself was timed in."""
        return sum(one is not None for one in self.median_ns[ORIGINAL]) if self.median_ns else 0

    def stem(self, recipe: str) -> str | None:
        """Return the stem of the file that a recipe made, None for none."""
        file = self.made.get(recipe, {}).get("file")
        return None if file is None else str(file).rpartition(".")[0]

    def recipes(self, stem: str) -> list[str]:
        """Return the recipes that made a file."""
        return [recipe for recipe in self.made if self.stem(recipe) == stem]

    def by_speed(self) -> list[str]:
        """Return the stems of what was timed, the fastest first."""
        assert self.median_ns is not None
        return sorted(self.median_ns, key=self._typical_ns)

    def _typical_ns(self, stem: str) -> float:
        # The median over rounds: on a shared machine a round in six may be disturbed by a quarter.
        assert self.median_ns is not None
        return statistics.median(one for one in self.median_ns[stem] if one is not None)

    def holds(self, stem: str) -> bool:
        """Say whether a scored file is within the bound; the model itself is."""
        if stem == ORIGINAL:
            return True
        loss = (self.losses or {}).get(stem)
        if loss is None:
            return False
        return loss >= LEAST_SQNR_DB if self.against_parent else loss <= MOST_DROP_PP

    def best(self) -> str:
        """Return the stem of the fastest within the bound."""
        return next(stem for stem in self.by_speed() if self.holds(stem))

    def winner(self, top: int) -> str:
        """Return the stem of what following the first ``top`` recipes ends with; nothing within the bound: the model.

        With ``top`` 1 nothing is measured by whom advice is given to: it is what comes first, whatever that loses.
        """
        stems = [stem for recipe in self.advised[:top] if (stem := self.stem(recipe)) in (self.median_ns or {})]
        if top == 1:
            return stems[0] if stems and not self.keeps_model else ORIGINAL
        return next(stem for stem in self.by_speed() if stem == ORIGINAL or (stem in stems and self.holds(stem)))

    def over_best(self, stem: str) -> float:
        """Return a file's latency over the best one's: the median over rounds, paired."""
        return statistics.median(self._ratios(stem, self.best()))

    def is_near(self, top: int) -> bool:
        """Say whether what advice leads to is within the bound and near the best."""
        stem = self.winner(top)
        return self.holds(stem) and self.over_best(stem) <= 1 + NEAR

    def speedup(self, stem: str) -> Figure:
        """Return the model's latency over a file's, paired by round."""
        return geometric_mean(self._ratios(ORIGINAL, stem))

    def _ratios(self, one: str, other: str) -> list[float]:
        """Return the ratios of the rounds that both were timed in."""
        assert self.median_ns is not None
        pairs = zip(self.median_ns[one], self.median_ns[other], strict=True)
        return [mine / its for mine, its in pairs if mine is not None and its is not None]


def figures_of(rounds: Sequence[Mapping[str, Any]], *, as_first_advised: bool = False) -> list[ModelAdvice]:
    """Return the recorded rounds by model, in the order of measuring; of rounds of one kind the last counts.

    ``as_first_advised``: with what advice said first of each model, before rules were changed.
    """
    found = []
    for name in dict.fromkeys(one["model"] for one in rounds):
        kinds = {one["kind"]: one for one in rounds if one["model"] == name}
        told = [one for one in rounds if one["model"] == name and "advised" in one]
        advice = told[0 if as_first_advised else -1] if told else {}
        made, timed, scored = kinds.get("made", {}), kinds.get("timed", {}), kinds.get("scored", {})
        found.append(
            ModelAdvice(
                name=name,
                advised=advice.get("advised", ()),
                keeps_model=advice.get("keeps_model", False),
                warnings=advice.get("warnings", ()),
                made=made.get("made", {}),
                median_ns=timed.get("median_ns"),
                losses=scored.get("losses"),
                against_parent=scored.get("against_parent", False),
            )
        )
    return found


def to_score(model: ModelAdvice, losses: Mapping[str, float | None]) -> str | None:
    """Return the next file whose loss decides something, None when nothing is left.

    From the fastest on until one holds: what is slower than that cannot be the best. Then what was advised.
    """
    known = ModelAdvice(
        name=model.name,
        advised=model.advised,
        made=model.made,
        median_ns=model.median_ns,
        losses=losses,
        against_parent=model.against_parent,
    )
    for stem in known.by_speed():
        if stem != ORIGINAL and stem not in losses:
            return stem
        if known.holds(stem):
            break
    stems = [stem for recipe in known.advised if (stem := known.stem(recipe)) in (known.median_ns or {})]
    return next((stem for stem in stems if stem not in losses), None)


def to_time(model: ModelAdvice, forms: Mapping[str, str]) -> dict[str, str]:
    """Return, by stem, the stem that is timed for it: itself, or one of the same form.

    ``forms`` are by stem, ``ORIGINAL`` for the model. What advice or a warning names is timed itself, so that no claim
    of it holds by this shortcut.
    """
    named = [*model.advised, *(claim[0] for warning in model.warnings for claim in warning["claims"])]
    own = {ORIGINAL, *(stem for recipe in named if (stem := model.stem(recipe)) is not None)}
    first: dict[str, str] = {}
    for stem in sorted(forms, key=lambda one: (one != ORIGINAL, one not in own)):
        first.setdefault(forms[stem], stem)
    return {stem: stem if stem in own else first[form] for stem, form in forms.items()}


def rows(models: Sequence[ModelAdvice]) -> list[list[str]]:
    """Return a row a model."""
    return [
        [
            model.name,
            _standing(model.name),
            *_followed(model, 1),
            *_followed(model, max(2, len(model.advised))),
            _named(model, model.best()),
            model.speedup(model.best()).text(2),
        ]
        for model in models
    ]


def _standing(name: str) -> str:
    """Say what a model is to advice: ranges were set by it, it was at hand then, or it is new."""
    return "set by it" if name in SET_BY else "at hand" if name in AT_HAND else "new"


def _followed(model: ModelAdvice, top: int) -> list[str]:
    stem = model.winner(top)
    lost = "" if model.holds(stem) else ", beyond the bound"
    return [_named(model, stem), f"{model.over_best(stem):.2f}{lost}"]


def _named(model: ModelAdvice, stem: str) -> str:
    return "the model itself" if stem == ORIGINAL else (model.recipes(stem) or [stem])[0]


def advised_sentence(models: Sequence[ModelAdvice], *, top: int) -> str:
    """Return in how many models advice led near the best, those apart that its ranges were not set by."""
    what = "the first advised recipe" if top == 1 else f"the best of the first {top}, as `--run` finds it"
    return (
        f"{what}: near the best in {_count(models, top)}; of models new to advice in "
        f"{_count([one for one in models if _standing(one.name) == 'new'], top)}{_far(models, top)}"
    )


def _count(models: Sequence[ModelAdvice], top: int) -> str:
    if not models:
        return "0 of 0"
    near = sum(one.is_near(top) for one in models)
    found = binomial_share(near, len(models))
    verdict = "met" if found.value >= LEAST_SHARE else "missed"
    share = f"{found.value:.0%}, {found.low:.0%} to {found.high:.0%}"
    return f"{near} of {len(models)} ({share}; {verdict})"


def _far(models: Sequence[ModelAdvice], top: int) -> str:
    far = [one for one in models if not one.is_near(top)]
    if not far:
        return ""
    told = [f"{one.name} ({', '.join(_followed(one, top))}; best {_named(one, one.best())})" for one in far]
    return f"; not in {', '.join(told)}"


def warnings_sentence(models: Sequence[ModelAdvice]) -> str:
    """Return how many claims of warnings held, were wrong, or could not be decided; wrong ones with their figures."""
    counts = dict.fromkeys(ClaimVerdict, 0)
    wrong = []
    for model in models:
        for warning in model.warnings:
            for recipe, figure, low, high in warning["claims"]:
                claim = Claim(recipe=recipe, figure=figure, low=low, high=float("inf") if high >= 1e9 else high)
                seen = _seen(model, recipe, figure)
                verdict = claim.check(seen)
                counts[verdict] += 1
                if verdict is ClaimVerdict.WRONG and seen is not None:
                    wrong.append(f"{warning['id']} of {model.name} ({recipe}: {seen.low:.2f} to {seen.high:.2f})")
    told = f": {', '.join(wrong)}" if wrong else ""
    return (
        f"claims of warnings: {counts[ClaimVerdict.HELD]} held, {counts[ClaimVerdict.UNDECIDED]} undecided, "
        f"{counts[ClaimVerdict.NOT_MEASURED]} not measured, {counts[ClaimVerdict.WRONG]} wrong"
        f" ({'missed' if wrong else 'met'}){told}"
    )


def _seen(model: ModelAdvice, recipe: str, figure: str) -> Interval | None:
    made = model.made.get(recipe, {})
    exact = {SIZE_RATIO: made.get("size_ratio"), REDUCE_RANGE: made.get("reduce_range")}
    if figure in exact:
        value = exact[figure]
        return None if value is None else Interval(low=float(value), value=float(value), high=float(value))
    assert figure == SPEEDUP
    stem = model.stem(recipe)
    if stem is None or stem not in (model.median_ns or {}):
        return None
    found = model.speedup(stem)
    if found.low is None or found.high is None:
        return None
    return Interval(low=found.low, value=found.value, high=found.high)


def changed_sentence(models: Sequence[ModelAdvice], before: Sequence[ModelAdvice]) -> list[str]:
    """Return what the verdicts were before rules of advice were changed for what was seen of these models."""
    first = {one.name: one for one in before}
    earlier = [first[one.name] for one in models]
    changed = [new.name for new, old in zip(models, earlier, strict=True) if _said(new) != _said(old)]
    if not changed:
        return []
    told = (
        f"rules were changed after {', '.join(changed)} had been measured; before, the first advised recipe was near "
        f"the best in {_count(earlier, 1)}, the best of the first three in {_count(earlier, 3)}, and of "
        f"{warnings_sentence(earlier)}"
    )
    return [told]


def _said(model: ModelAdvice) -> tuple[bool, list[str], list[Mapping[str, Any]]]:
    return model.keeps_model, list(model.advised), list(model.warnings)


def unfinished_sentence(models: Sequence[ModelAdvice]) -> list[str]:
    """Return which models no verdict counts yet."""
    names = [one.name for one in models if not one.is_whole]
    return [f"not timed or not scored yet, and in no count: {', '.join(names)}"] if names else []


def unmade_sentence(models: Sequence[ModelAdvice]) -> list[str]:
    """Return which recipes were refused for how many models: what exhaustive means here."""
    refused: dict[str, int] = {}
    for model in models:
        for recipe, one in model.made.items():
            if "failed" in one:
                refused[recipe] = refused.get(recipe, 0) + 1
    if not refused:
        return []
    return ["refused, by recipe and number of models: " + ", ".join(f"{name} {n}" for name, n in refused.items())]
