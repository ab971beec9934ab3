"""Results on a terminal: renderables for rich; nothing is printed here.

At 80 columns a cell is two lines, the figure and its interval; from 120 columns on it is one. Colours and bold are
rich's affair: none on a pipe, none with NO_COLOR.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from steelyard.report.brief import (
    next_steps,
    notes_that_matter,
    unmeasured_columns,
    unmeasured_sentences,
    verdict_lines,
)
from steelyard.report.energy_grid import energy_parts
from steelyard.report.figures import (
    cached_text,
    comparison_text,
    detectable_text,
    failed,
    failure_text,
    mcnemar_text,
    requirement_text,
)
from steelyard.report.gaps import find_gaps, gap_texts
from steelyard.report.grid import Cell, Footnotes, Grid, estimate_cell
from steelyard.report.listings import (
    hanging,
    render_artifact,
    render_artifacts,
    render_attempts,
    render_device,
    render_devices,
    render_jobs,
)
from steelyard.report.memory import memory_sentences
from steelyard.report.mode_tables import ModeTable, decisive_columns, mode_tables
from steelyard.report.mode_words import mode_text, primary_estimate
from steelyard.report.numeric import numeric_parts, numeric_sentences
from steelyard.report.operators import operator_parts, operator_sentences, rate_sentences
from steelyard.report.score_words import score_name, score_of, score_on_task
from steelyard.report.surroundings import rounds_text, surroundings_lines
from steelyard.report.varied import varied_text
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2

__all__ = [
    "render_artifact",
    "render_artifacts",
    "render_attempts",
    "render_comparison",
    "render_device",
    "render_devices",
    "render_jobs",
    "render_measurement",
]

_TOP_OPERATORS = 5
_VERDICT_STYLES = {"faster": "green", "slower": "red"}
_DECISION_STYLES = {
    measurement_pb2.DECISION_KIND_SHIP: "bold green",
    measurement_pb2.DECISION_KIND_UNMET: "bold red",
    measurement_pb2.DECISION_KIND_UNDECIDED: "bold yellow",
    measurement_pb2.DECISION_KIND_INCOMPLETE: "bold yellow",
}


def render_measurement(measurement: measurement_pb2.Measurement, *, details: bool = True) -> RenderableType:
    """Return all that a measurement says, the decision last; without ``details`` what decides, and how to see all."""
    return Group(*_measurement_parts(measurement, details=details))


def render_comparison(measurement: measurement_pb2.Measurement, *, details: bool = True) -> RenderableType:
    """Return a measurement of two artifacts as a comparison: each against the first, its verdict in words last."""
    ran = _ran(measurement)
    figure = measurement.primary_figure or "p50"
    rows = tuple(
        (one.label, (estimate_cell(primary_estimate(one, measurement.plan)), _speedup(one), _verdict(one)))
        for one in ran
    )
    parts: list[RenderableType] = [_heading(measurement)]
    if rows:
        parts += [Text(), Grid("against the first, paired by round", (figure, "speed-up", "verdict"), rows)]
    if rows and measurement.task_id:
        parts += [Text(), _losses(measurement, ran)]
    footnotes = Footnotes()
    parts += [*energy_parts(measurement, ran, footnotes), *footnotes.lines()]
    # Not the decision on what to ship: here the second is judged, and the first need not be an original.
    said = _said(measurement, details=details)
    return Group(*parts, *_failures(measurement), *said, *_verdicts(measurement, last=True))


def _losses(measurement: measurement_pb2.Measurement, ran: Sequence[measurement_pb2.VariantMeasurement]) -> Grid:
    name = score_name(measurement)
    # Other metrics than shares of right answers are not tested by McNemar.
    is_counted = score_of(measurement).is_accuracy
    rows = tuple(
        (
            one.label,
            (
                estimate_cell(one.accuracy),
                Cell("") if one.is_reference else estimate_cell(one.accuracy_drop),
                *([_mcnemar(one)] if is_counted else []),
            ),
        )
        for one in ran
    )
    head = (name, "drop", *(["McNemar"] if is_counted else []))
    return Grid(f"{name}, paired by sample", head, rows, explains_labels=False)


def _mcnemar(variant: measurement_pb2.VariantMeasurement) -> Cell:
    return Cell(mcnemar_text(variant).removeprefix("McNemar "))


def _measurement_parts(measurement: measurement_pb2.Measurement, *, details: bool) -> Iterable[RenderableType]:
    yield _heading(measurement)
    ran = _ran(measurement)
    tables = list(mode_tables(measurement))
    if ran:
        footnotes = Footnotes()
        yield Text()
        empty = () if details else unmeasured_columns(ran, score_name(measurement))
        yield _to_decide(measurement, ran, footnotes, empty)
        for table in (one for one in tables if details or not one.is_detail):
            yield Text()
            yield _mode_grid(table, footnotes)
        yield Text()
        yield _costs(ran, footnotes, empty)
        built = [one for one in ran if one.HasField("build_time")]
        if built:
            yield Text()
            yield _builds(built, footnotes)
        yield from energy_parts(measurement, ran, footnotes)
        yield from footnotes.lines()
        yield from numeric_parts(ran)
    hint = f"steelyard job show {measurement.job_id[:8]} --json has all"
    yield from operator_parts(ran, top=_TOP_OPERATORS, hint=hint)
    yield from _failures(measurement)
    yield from _requirements(measurement)
    yield from _said(measurement, details=details)
    if not details:
        yield from _verdicts(measurement)
    yield from _decision(measurement)


def _to_decide(
    measurement: measurement_pb2.Measurement,
    ran: Sequence[measurement_pb2.VariantMeasurement],
    footnotes: Footnotes,
    empty: Collection[str],
) -> Grid:
    columns = decisive_columns(measurement)
    figures = {score_name(measurement): [one.accuracy for one in ran], **columns}
    figures = {name: column for name, column in figures.items() if name not in empty}
    rows = tuple(
        (
            one.label,
            (*(estimate_cell(column[index], footnotes) for column in figures.values()), _speedup(one, footnotes)),
        )
        for index, one in enumerate(ran)
    )
    title = "to decide"
    if measurement.primary_figure not in ("", "p50"):
        title += f" (speed-up: by {measurement.primary_figure})"
    return Grid(title, (*figures, "speed-up"), rows)


def _mode_grid(table: ModeTable, footnotes: Footnotes) -> Grid:
    rows = tuple(
        (label, tuple(Cell(one) if isinstance(one, str) else estimate_cell(one, footnotes) for one in figures))
        for label, figures in table.rows
    )
    return Grid(table.title, table.head, rows, explains_labels=False)


def _costs(ran: Sequence[measurement_pb2.VariantMeasurement], footnotes: Footnotes, empty: Collection[str]) -> Grid:
    figures = {
        "load": [one.model_load for one in ran],
        "first run": [one.first_inference for one in ran],
        "peak memory": [one.peak_memory for one in ran],
        "energy": [one.energy for one in ran],
    }
    figures = {name: column for name, column in figures.items() if name not in empty}
    rows = tuple(
        (
            one.label,
            (
                *(estimate_cell(column[index], footnotes) for column in figures.values()),
                Cell(format_value(one.size_bytes, "B")),
            ),
        )
        for index, one in enumerate(ran)
    )
    title = "what it costs (memory: the peak over the runtime alone)"
    return Grid(title, (*figures, "size"), rows, explains_labels=False)


def _builds(built: Sequence[measurement_pb2.VariantMeasurement], footnotes: Footnotes) -> Grid:
    rows = tuple(
        (
            one.label,
            (
                estimate_cell(one.build_time, footnotes),
                estimate_cell(one.model_load, footnotes),
                Cell(cached_text(one)),
            ),
        )
        for one in built
    )
    title = "compiled on this device, once"
    return Grid(title, ("build", "load", "loaded from the cache"), rows, explains_labels=False)


def _speedup(variant: measurement_pb2.VariantMeasurement, footnotes: Footnotes | None = None) -> Cell:
    if variant.is_reference:
        return Cell("reference", style="dim")
    return estimate_cell(variant.speedup, footnotes, _VERDICT_STYLES.get(comparison_text(variant), ""))


def _verdict(variant: measurement_pb2.VariantMeasurement) -> Cell:
    if variant.is_reference:
        return Cell("")
    word = comparison_text(variant)
    return Cell(word, detectable_text(variant), style=_VERDICT_STYLES.get(word, ""))


def _ran(measurement: measurement_pb2.Measurement) -> list[measurement_pb2.VariantMeasurement]:
    return [variant for variant in measurement.variants if not failed(variant)]


def _heading(measurement: measurement_pb2.Measurement) -> Text:
    title = Text(measurement.title or "measurement", style="bold")
    title.append(f" on {measurement.device_name or 'an unnamed device'}", style="not bold")
    facts = [rounds_text(measurement)]
    if measurement.confidence:
        facts.append(f"intervals at {100 * measurement.confidence:g} %")
    if measurement.task_name:
        facts.append(score_on_task(measurement))
    facts += filter(None, [mode_text(measurement.plan)])
    if varied := varied_text(measurement.plan):
        facts.append(f"varied: {varied}")
    return title.append(f" ({', '.join(facts)})", style="dim")


def _failures(measurement: measurement_pb2.Measurement) -> Iterable[RenderableType]:
    lines = [f"{one.label} failed, {failure_text(one)}" for one in measurement.variants if failed(one)]
    yield from _paragraphs([("", line) for line in lines], "red")


def _requirements(measurement: measurement_pb2.Measurement) -> Iterable[RenderableType]:
    outcomes = [(variant, outcome) for variant in measurement.variants for outcome in variant.requirements]
    if not outcomes:
        return
    yield Text()
    yield Text("requirements", style="bold")
    for variant, outcome in outcomes:
        verdict = requirement_text(outcome)
        yield hanging("  ", f"{variant.label} {verdict} {outcome.requirement}: {outcome.because}")


def _said(measurement: measurement_pb2.Measurement, *, details: bool) -> Iterable[RenderableType]:
    """Return warnings and notes; without ``details`` the notes that matter, and what to type for the rest."""
    figure = measurement.primary_figure or "p50"
    notes = [
        f"{variant.label}: {note}"
        for variant in measurement.variants
        for note in (
            *(variant.notes if details else notes_that_matter(variant, figure)),
            *operator_sentences(variant),
        )
    ]
    notes += [*rate_sentences(measurement), *(() if details else unmeasured_sentences(measurement))]
    intervals = gap_texts(gap for gap in find_gaps(measurement) if gap.only_interval)
    if details:
        notes += [*numeric_sentences(measurement), *memory_sentences(measurement), *intervals]
        notes += surroundings_lines(measurement)
    yield from _paragraphs([("warning: ", text) for text in measurement.warnings], "yellow")
    yield from _paragraphs([("note: ", text) for text in notes], "dim")
    if not details:
        left_out = [table for table in mode_tables(measurement) if table.is_detail]
        yield from _paragraphs([("more: ", text) for text in next_steps(measurement, left_out, intervals)], "dim")


def _verdicts(measurement: measurement_pb2.Measurement, *, last: bool = False) -> Iterable[RenderableType]:
    """Return the verdict on each variant in words, bold where nothing follows it."""
    lines = verdict_lines(measurement)
    if lines:
        yield Text()
    for word, text in lines:
        style = f"{'bold ' if last else ''}{_VERDICT_STYLES.get(word, '')}".strip()
        yield hanging("", text, style=style)


def _decision(measurement: measurement_pb2.Measurement) -> Iterable[RenderableType]:
    if measurement.decision.sentence:
        yield Text()
        yield Text(measurement.decision.sentence, style=_DECISION_STYLES.get(measurement.decision.kind, "bold"))


def _paragraphs(texts: Sequence[tuple[str, str]], style: str) -> Iterable[RenderableType]:
    if texts:
        yield Text()
    for mark, text in texts:
        yield hanging(mark, text, style=style)
