"""Results on a terminal: renderables for rich; nothing is printed here.

At 80 columns a cell is two lines, the figure and its interval; from 120 columns on it is one. Colours and bold are
rich's affair: none on a pipe, none with NO_COLOR.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from steelyard.report.energy import EnergyTable, device_table, external_tables
from steelyard.report.figures import (
    Figure,
    cached_text,
    comparison_text,
    detectable_text,
    failed,
    failure_text,
    figure,
    is_known,
    mcnemar_text,
    requirement_text,
)
from steelyard.report.gaps import find_gaps, gap_text
from steelyard.report.labels import in_two_lines, short_labels
from steelyard.report.listings import (
    hanging,
    plain_table,
    render_artifact,
    render_artifacts,
    render_device,
    render_devices,
    render_jobs,
)
from steelyard.report.operators import operator_parts, operator_sentences, rate_sentences
from steelyard.report.surroundings import rounds_text, surroundings_lines
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2

__all__ = [
    "render_artifact",
    "render_artifacts",
    "render_comparison",
    "render_device",
    "render_devices",
    "render_jobs",
    "render_measurement",
]

_ONE_LINE_COLUMNS = 120
_LABEL_COLUMNS = 20
_HALF_LABEL_COLUMNS = 14
_TOP_OPERATORS = 5
_VERDICT_STYLES = {"faster": "green", "slower": "red"}
_DECISION_STYLES = {
    measurement_pb2.DECISION_KIND_SHIP: "bold green",
    measurement_pb2.DECISION_KIND_UNMET: "bold red",
    measurement_pb2.DECISION_KIND_UNDECIDED: "bold yellow",
    measurement_pb2.DECISION_KIND_INCOMPLETE: "bold yellow",
}


@dataclass(frozen=True, slots=True)
class _Cell:
    """A figure over its interval, or beside it where the terminal is wide; ``mark`` leads to a footnote."""

    value: str
    interval: str = ""
    mark: str = ""
    style: str = ""

    def text(self, *, one_line: bool) -> Text:
        text = Text(self.value, style=self.style)
        gap = " " if one_line else "\n"
        if self.interval:
            text.append(f"{gap}({self.interval})" if one_line else f"{gap}{self.interval}", style="dim")
        if self.mark:
            text.append(f"{gap}{self.mark}", style="dim")
        return text


@dataclass(frozen=True, slots=True)
class _Grid:
    """A table whose cells take one line or two, as the terminal is wide."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[_Cell, ...]], ...]
    explains_labels: bool = True

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        one_line = options.max_width >= _ONE_LINE_COLUMNS
        shorts = short_labels([label for label, _ in self.rows], _LABEL_COLUMNS)
        table = plain_table(title=self.title)
        table.add_column("variant", overflow="fold")
        for name in self.head:
            table.add_column(name, no_wrap=True)
        for short, (_, cells) in zip(shorts, self.rows, strict=True):
            label = short if one_line else in_two_lines(short, _HALF_LABEL_COLUMNS)
            table.add_row(Text(label), *(cell.text(one_line=one_line) for cell in cells))
        yield table
        for short, (label, _) in zip(shorts, self.rows, strict=True):
            if self.explains_labels and short != label:
                yield Text(f"{short} is {label}", style="dim")


def render_measurement(measurement: measurement_pb2.Measurement) -> RenderableType:
    """Return all that a measurement says, the decision last."""
    return Group(*_measurement_parts(measurement))


def render_comparison(measurement: measurement_pb2.Measurement) -> RenderableType:
    """Return a measurement of two artifacts as a comparison: each against the first, with its verdict in words."""
    ran = _ran(measurement)
    rows = tuple((one.label, (_cell(one.p50_latency), _speedup(one), _verdict(one))) for one in ran)
    parts: list[RenderableType] = [_heading(measurement)]
    if rows:
        parts += [Text(), _Grid("against the first, paired by round", ("p50", "speed-up", "verdict"), rows)]
    if rows and measurement.task_id:
        parts += [Text(), _losses(ran)]
    footnotes = _Footnotes()
    parts += [*_energy(measurement, ran, footnotes), *footnotes.lines()]
    # Not the decision on what to ship: here the second is judged, and the first need not be an original.
    return Group(*parts, *_failures(measurement), *_notes(measurement))


def _losses(ran: Sequence[measurement_pb2.VariantMeasurement]) -> _Grid:
    rows = tuple(
        (one.label, (_cell(one.accuracy), _Cell("") if one.is_reference else _cell(one.accuracy_drop), _mcnemar(one)))
        for one in ran
    )
    head = ("accuracy", "drop", "McNemar")
    return _Grid("accuracy, paired by sample", head, rows, explains_labels=False)


def _mcnemar(variant: measurement_pb2.VariantMeasurement) -> _Cell:
    return _Cell(mcnemar_text(variant).removeprefix("McNemar "))


def _measurement_parts(measurement: measurement_pb2.Measurement) -> Iterable[RenderableType]:
    yield _heading(measurement)
    ran = _ran(measurement)
    if ran:
        footnotes = _Footnotes()
        yield Text()
        yield _to_decide(ran, footnotes)
        yield Text()
        yield _costs(ran, footnotes)
        built = [one for one in ran if one.HasField("build_time")]
        if built:
            yield Text()
            yield _builds(built, footnotes)
        yield from _energy(measurement, ran, footnotes)
        yield from footnotes.lines()
    hint = f"steelyard job show {measurement.job_id[:8]} --json has all"
    yield from operator_parts(ran, top=_TOP_OPERATORS, hint=hint)
    yield from _failures(measurement)
    yield from _requirements(measurement)
    yield from _notes(measurement)
    yield from _decision(measurement)


class _Footnotes:
    """Reasons why a figure is missing; each is said once, below the tables."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def mark(self, reason: str) -> str:
        if reason not in self._reasons:
            self._reasons.append(reason)
        return f"[{self._reasons.index(reason) + 1}]"

    def lines(self) -> Iterable[RenderableType]:
        for number, reason in enumerate(self._reasons, start=1):
            yield hanging(f"[{number}] ", reason, style="dim")


def _to_decide(ran: Sequence[measurement_pb2.VariantMeasurement], footnotes: _Footnotes) -> _Grid:
    rows = tuple(
        (
            one.label,
            (
                _cell(one.accuracy, footnotes),
                _cell(one.p50_latency, footnotes),
                _cell(one.p90_latency, footnotes),
                _speedup(one, footnotes),
            ),
        )
        for one in ran
    )
    return _Grid("to decide", ("accuracy", "p50", "p90", "speed-up"), rows)


def _costs(ran: Sequence[measurement_pb2.VariantMeasurement], footnotes: _Footnotes) -> _Grid:
    rows = tuple(
        (
            one.label,
            (
                _cell(one.model_load, footnotes),
                _cell(one.first_inference, footnotes),
                _cell(one.peak_memory, footnotes),
                _cell(one.energy, footnotes),
                _Cell(format_value(one.size_bytes, "B")),
            ),
        )
        for one in ran
    )
    title = "what it costs (memory: the peak over the runtime alone)"
    return _Grid(title, ("load", "first run", "peak memory", "energy", "size"), rows, explains_labels=False)


def _builds(built: Sequence[measurement_pb2.VariantMeasurement], footnotes: _Footnotes) -> _Grid:
    rows = tuple(
        (one.label, (_cell(one.build_time, footnotes), _cell(one.model_load, footnotes), _Cell(cached_text(one))))
        for one in built
    )
    title = "compiled on this device, once"
    return _Grid(title, ("build", "load", "loaded from the cache"), rows, explains_labels=False)


def _energy(
    measurement: measurement_pb2.Measurement,
    ran: Sequence[measurement_pb2.VariantMeasurement],
    footnotes: _Footnotes,
) -> Iterable[RenderableType]:
    """Return a table a source: what one covers is not what another covers."""
    own = device_table(measurement, ran)
    for table in (*([own] if own is not None else []), *external_tables(ran)):
        yield Text()
        # Not the table's own title, which would be as narrow as the table.
        yield Text(table.title, style="bold")
        yield _energy_grid(table, footnotes)
        if table.idle_text:
            yield Text(table.idle_text, style="dim")


def _energy_grid(table: EnergyTable, footnotes: _Footnotes) -> _Grid:
    columns = {"an inference": [_shown(row.shown, footnotes) for row in table.rows]}
    # Without a baseline, or a window to divide by, nothing is missing from the gross energy alone.
    if table.has_net:
        columns["net of idle"] = [_cell(row.net, footnotes) for row in table.rows]
    if any(is_known(row.mean_power) for row in table.rows):
        columns["mean power"] = [_cell(row.mean_power) for row in table.rows]
    rows = zip((row.label for row in table.rows), zip(*columns.values(), strict=True), strict=True)
    return _Grid("", tuple(columns), tuple(rows), explains_labels=False)


def _cell(estimate: measurement_pb2.Estimate, footnotes: _Footnotes | None = None, style: str = "") -> _Cell:
    return _shown(figure(estimate), footnotes, style)


def _shown(shown: Figure, footnotes: _Footnotes | None = None, style: str = "") -> _Cell:
    mark = footnotes.mark(shown.reason) if footnotes is not None and shown.reason else ""
    return _Cell(shown.value, shown.interval, mark, style if shown.is_known else "dim")


def _speedup(variant: measurement_pb2.VariantMeasurement, footnotes: _Footnotes | None = None) -> _Cell:
    if variant.is_reference:
        return _Cell("reference", style="dim")
    return _cell(variant.speedup, footnotes, _VERDICT_STYLES.get(comparison_text(variant), ""))


def _verdict(variant: measurement_pb2.VariantMeasurement) -> _Cell:
    if variant.is_reference:
        return _Cell("")
    word = comparison_text(variant)
    return _Cell(word, detectable_text(variant), style=_VERDICT_STYLES.get(word, ""))


def _ran(measurement: measurement_pb2.Measurement) -> list[measurement_pb2.VariantMeasurement]:
    return [variant for variant in measurement.variants if not failed(variant)]


def _heading(measurement: measurement_pb2.Measurement) -> Text:
    title = Text(measurement.title or "measurement", style="bold")
    title.append(f" on {measurement.device_name or 'an unnamed device'}", style="not bold")
    facts = [rounds_text(measurement)]
    if measurement.confidence:
        facts.append(f"intervals at {100 * measurement.confidence:g} %")
    if measurement.task_name:
        facts.append(f"accuracy on {measurement.task_name}")
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


def _notes(measurement: measurement_pb2.Measurement) -> Iterable[RenderableType]:
    intervals = [gap_text(gap) for gap in find_gaps(measurement) if gap.only_interval]
    notes = [
        f"{variant.label}: {note}"
        for variant in measurement.variants
        for note in (*variant.notes, *operator_sentences(variant))
    ]
    notes += rate_sentences(measurement)
    yield from _paragraphs([("warning: ", text) for text in measurement.warnings], "yellow")
    around = surroundings_lines(measurement)
    yield from _paragraphs([("note: ", text) for text in [*notes, *intervals, *around]], "dim")


def _decision(measurement: measurement_pb2.Measurement) -> Iterable[RenderableType]:
    if measurement.decision.sentence:
        yield Text()
        yield Text(measurement.decision.sentence, style=_DECISION_STYLES.get(measurement.decision.kind, "bold"))


def _paragraphs(texts: Sequence[tuple[str, str]], style: str) -> Iterable[RenderableType]:
    if texts:
        yield Text()
    for mark, text in texts:
        yield hanging(mark, text, style=style)
