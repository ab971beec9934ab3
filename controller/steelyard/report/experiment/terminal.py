"""An experiment on a terminal: its recipes over seeds, and what may be claimed; nothing is printed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from steelyard.experiments.findings import ExperimentMetric, Findings, RecipeClaim, RecipeFinding
from steelyard.experiments.record import ExperimentRecord
from steelyard.report.experiment.recipe_labels import recipe_labels
from steelyard.report.long_names import name_lines
from steelyard.stats.formatting import format_value

_NAME_COLUMNS, _CLAIM_COLUMNS = 24, 40
_COLUMNS = (
    "training: how far trainings with other seeds scatter, the measurement's part taken off; measured: how far "
    "measuring one model again scatters, which is nothing for scores, given by the same samples each time"
)


def render_experiment(name: str, record: ExperimentRecord, findings: Findings, *, model_name: str) -> RenderableType:
    """Return tables by metric, the differences, and what the figures rest on."""
    names = [one.name for one in record.recipes]
    labels, shared = recipe_labels(names)
    shown = dict(zip(names, labels, strict=True))
    seeds = ", ".join(map(str, record.seeds)) or "none"
    where = ", ".join(record.devices) or "no device"
    parts: list[RenderableType] = [Text(f"{name}: {model_name}, {len(names)} recipes, seeds {seeds}, on {where}")]
    if shared:
        parts.append(Text(f"every step of them with {','.join(shared)}"))
    for metric in dict.fromkeys(one.metric for one in findings.recipes):
        rows = [one for one in findings.recipes if one.metric == metric]
        parts += [Text(), _means(metric, rows, shown)]
    if findings.claims:
        parts += [Text(), _differences(findings.claims, shown)]
    parts += [Text(), *(Text(f"- {line}") for line in _lines(record, findings, shown))]
    return Group(*parts)


def metric_title(metric: ExperimentMetric) -> str:
    """Return "speedup on pi5", "top1 on the controller"."""
    return f"{metric.name} on {metric.device or 'the controller'}"


def _means(metric: ExperimentMetric, rows: Sequence[RecipeFinding], shown: Mapping[str, str]) -> Table:
    table = Table(title=metric_title(metric), title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("recipe", max_width=_NAME_COLUMNS, overflow="fold")
    for column in ("seeds", "mean", "training", "measured"):
        table.add_column(column, justify="right")
    for one in rows:
        label = "\n".join(name_lines(shown[one.recipe], _NAME_COLUMNS))
        summary = one.summary
        if summary is None:
            table.add_row(label, "0", "not known", "", "")
            continue
        mean = f"{_value(summary.mean, metric.unit)}\n{_interval(summary.low, summary.high, metric.unit)}"
        unit = _difference_unit(metric.unit)
        training = _optional(summary.training_sd, metric.unit)
        training += f"\n{_interval(summary.training_low, summary.training_high, unit)}"
        cells = (str(summary.count), mean.rstrip(), training.rstrip(), _optional(summary.measurement_sd, metric.unit))
        table.add_row(label, *cells)
    return table


def _differences(claims: Sequence[RecipeClaim], shown: Mapping[str, str]) -> Table:
    table = Table(title="differences, by seed", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in ("of", "difference", "p, Holm", "exact p"):
        table.add_column(column, justify="left" if column == "of" else "right")
    for one in claims:
        pair = name_lines(f"{shown[one.second]} less {shown[one.first]}", _CLAIM_COLUMNS)
        what = "\n".join([f"{metric_title(one.metric)}:", *pair])
        if one.paired is None:
            table.add_row(what, "not known", "", "")
            continue
        unit = _difference_unit(one.metric.unit)
        interval = _interval(one.paired.low, one.paired.high, unit)
        difference = f"{_value(one.paired.difference, unit)}\n{interval}".rstrip()
        verdict = "" if one.adjusted_p is None else f"{_p_value(one.adjusted_p)}{' *' if one.holds else ''}"
        table.add_row(what, difference, verdict, _p_value(one.paired.p_value))
    return table


def _lines(record: ExperimentRecord, findings: Findings, shown: Mapping[str, str]) -> list[str]:
    lines = [_COLUMNS]
    tested = [one for one in findings.claims if one.adjusted_p is not None]
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
    unsure = {metric_title(one.metric): one.own_half_width for one in findings.recipes if one.metric.unit == "fraction"}
    lines += [
        f"{title}: one model's score is sure to {100 * half:.2f} points, by how many samples there are"
        for title, half in unsure.items()
        if half is not None
    ]
    return lines


def _p_value(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _claim_words(claim: RecipeClaim, shown: Mapping[str, str]) -> str:
    return f"{metric_title(claim.metric)}, {shown[claim.second]} less {shown[claim.first]}"


def _difference_unit(unit: str) -> str:
    return "pp" if unit == "fraction" else unit


def _scaled(value: float, unit: str) -> float:
    return 100 * value if unit == "pp" else value


def _value(value: float, unit: str) -> str:
    return format_value(_scaled(value, unit), unit)


def _interval(low: float | None, high: float | None, unit: str) -> str:
    return "" if low is None or high is None else f"{_value(low, unit)} to {_value(high, unit)}"


def _optional(value: float | None, unit: str) -> str:
    return "not known" if value is None else _value(value, _difference_unit(unit))
