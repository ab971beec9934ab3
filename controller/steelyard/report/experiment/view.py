"""What is shown of an experiment, in words and figures: tables by metric, differences, and what they rest on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.experiments.findings import ExperimentMetric, Findings, RecipeClaim, RecipeFinding
from steelyard.experiments.record import ExperimentRecord
from steelyard.report.experiment.recipe_labels import recipe_labels
from steelyard.stats.formatting import format_value

_COLUMNS = (
    "training: how far trainings with other seeds scatter, the measurement's part taken off; measured: how far "
    "measuring one model again scatters, which is nothing for scores, given by the same samples each time"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanRow:
    """A recipe in a metric; what is not known is "" or says so."""

    recipe: str
    seeds: int
    mean: str
    interval: str = ""
    training: str = ""
    training_interval: str = ""
    measured: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """The second recipe less the first, in the metrics of ``title``; ``exact_p`` takes no distribution for granted."""

    title: str
    first: str
    second: str
    difference: str
    interval: str = ""
    adjusted_p: str = ""
    exact_p: str = ""
    holds: bool = False

    @property
    def pair(self) -> str:
        """Which recipe less which."""
        return f"{self.second} less {self.first}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentView:
    """All of an experiment as text; ``shared`` are the settings that the labels of recipes leave out."""

    name: str
    heading: str
    shared: str
    tables: Mapping[str, Sequence[MeanRow]]
    differences: Sequence[DifferenceRow]
    notes: Sequence[str]


def experiment_view(name: str, record: ExperimentRecord, findings: Findings, *, model_name: str) -> ExperimentView:
    """Return what is shown. Metrics whose figures are the same to the last digit are shown once, by all their names."""
    names = [one.name for one in record.recipes]
    labels, shared = recipe_labels(names)
    shown = dict(zip(names, labels, strict=True))
    where = ", ".join(record.devices) or "no device"
    return ExperimentView(
        name=name,
        heading=f"{model_name}, {len(names)} recipes, {_seeds(record.seeds)}, on {where}",
        shared=f"every step of them with {','.join(shared)}" if shared else "",
        tables={_titles(metrics): [_mean(one, shown) for one in rows] for metrics, rows in _alike(findings.recipes)},
        differences=[_difference(metrics, one, shown) for metrics, one in _alike_claims(findings.claims)],
        notes=_notes(record, findings, shown),
    )


def metric_title(metric: ExperimentMetric) -> str:
    """Return "speedup on pi5", "top1 on the controller"."""
    return _titles([metric])


def _titles(metrics: Sequence[ExperimentMetric]) -> str:
    places: dict[str, list[str]] = defaultdict(list)
    for one in metrics:
        places[one.name].append(one.device or "the controller")
    return "; ".join(f"{name} on {', '.join(devices)}" for name, devices in places.items())


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds)) or 'none'}"


def _alike(findings: Sequence[RecipeFinding]) -> list[tuple[list[ExperimentMetric], list[RecipeFinding]]]:
    """Return the findings of each metric, those of metrics with the same figures once."""
    by_metric: dict[ExperimentMetric, list[RecipeFinding]] = defaultdict(list)
    for one in findings:
        by_metric[one.metric].append(one)
    groups: dict[object, tuple[list[ExperimentMetric], list[RecipeFinding]]] = {}
    for metric, rows in by_metric.items():
        figures = tuple((one.recipe, one.summary, one.own_half_width, one.reason) for one in rows)
        groups.setdefault((metric.unit, figures), ([], rows))[0].append(metric)
    return list(groups.values())


def _alike_claims(claims: Sequence[RecipeClaim]) -> list[tuple[list[ExperimentMetric], RecipeClaim]]:
    groups: dict[object, tuple[list[ExperimentMetric], RecipeClaim]] = {}
    for one in claims:
        key = one.test if one.paired is not None else (one.metric, one.first, one.second)
        groups.setdefault(key, ([], one))[0].append(one.metric)
    return list(groups.values())


def _mean(one: RecipeFinding, shown: Mapping[str, str]) -> MeanRow:
    summary, unit = one.summary, one.metric.unit
    if summary is None:
        return MeanRow(recipe=shown[one.recipe], seeds=0, mean="not known")
    return MeanRow(
        recipe=shown[one.recipe],
        seeds=summary.count,
        mean=_value(summary.mean, unit),
        interval=_interval(summary.low, summary.high, unit),
        training=_optional(summary.training_sd, unit),
        training_interval=_interval(summary.training_low, summary.training_high, _difference_unit(unit)),
        measured=_optional(summary.measurement_sd, unit),
    )


def _difference(metrics: Sequence[ExperimentMetric], one: RecipeClaim, shown: Mapping[str, str]) -> DifferenceRow:
    title, first, second = _titles(metrics), shown[one.first], shown[one.second]
    if one.paired is None:
        return DifferenceRow(title=title, first=first, second=second, difference="not known")
    unit = _difference_unit(one.metric.unit)
    return DifferenceRow(
        title=title,
        first=first,
        second=second,
        difference=_value(one.paired.difference, unit),
        interval=_interval(one.paired.low, one.paired.high, unit),
        adjusted_p="" if one.adjusted_p is None else _p_value(one.adjusted_p),
        exact_p=_p_value(one.paired.p_value),
        holds=one.holds,
    )


def _notes(record: ExperimentRecord, findings: Findings, shown: Mapping[str, str]) -> list[str]:
    lines = [_COLUMNS]
    tested = {one.test: one for one in findings.claims if one.adjusted_p is not None}.values()
    if tested:
        counted = f"all {len(tested)} claims together" if len(tested) > 1 else "of the one claim"
        least = max(one.paired.least_p_value for one in tested if one.paired is not None)
        lines.append(
            f"*: below 0.05 by Student's test, {counted} (Holm); the exact test, which "
            f"takes no distribution for granted, cannot go below {least:.3g} with so few seeds"
        )
    undecided = [one for one in tested if not one.holds]
    if undecided:
        lines.append(f"{len(undecided)} of {len(tested)} differences cannot be told from luck; more seeds tell more")
    lines += [f"{_claim_words(one, shown)}: {one.reason}" for one in findings.claims if one.adjusted_p is None]
    lines += dict.fromkeys(f"{shown[one.recipe]}: {one.reason}" for one in findings.recipes if one.reason)
    lines += [f"{shown[one.recipe]}, seed {one.seed} failed: {one.reason}" for one in record.trainings if one.reason]
    scores = _alike([one for one in findings.recipes if one.metric.unit == "fraction"])
    lines += [
        f"{_titles(metrics)}: one model's score is sure to {100 * max(halves):.2f} points, by the count of samples"
        for metrics, rows in scores
        if (halves := [one.own_half_width for one in rows if one.own_half_width is not None])
    ]
    return lines


def _p_value(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _claim_words(claim: RecipeClaim, shown: Mapping[str, str]) -> str:
    return f"{metric_title(claim.metric)}, {shown[claim.second]} less {shown[claim.first]}"


def _difference_unit(unit: str) -> str:
    return "pp" if unit == "fraction" else unit


def _value(value: float, unit: str) -> str:
    return format_value(100 * value if unit == "pp" else value, unit)


def _interval(low: float | None, high: float | None, unit: str) -> str:
    return "" if low is None or high is None else f"{_value(low, unit)} to {_value(high, unit)}"


def _optional(value: float | None, unit: str) -> str:
    return "not known" if value is None else _value(value, _difference_unit(unit))
