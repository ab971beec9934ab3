"""A gate's report on a terminal of 80 columns: renderables for rich; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from steelyard.gate.gate_report import GateLine, GateReport, GateVerdict, LineKind
from steelyard.report.gate.words import KIND_WORDS, change_words, values_words

_STYLES = {GateVerdict.PASS: "bold green", GateVerdict.REGRESSED: "bold red", GateVerdict.INCOMPLETE: "bold yellow"}
_LINE_STYLES = {LineKind.FINE: "green", LineKind.FAILED: "bold red"}


def render_gate_summary(report: GateReport) -> RenderableType:
    """Return the verdict, and two lines for each condition: what it says, and why."""
    return Group(*_parts(report))


def _parts(report: GateReport) -> Iterator[RenderableType]:
    yield Text.assemble((report.verdict.value, _STYLES[report.verdict]), " ", report.sentence)
    for note in report.notes:
        yield Text(f"! {note}", style="yellow")
    for line in report.lines:
        yield Text()
        yield _head(line)
        if line.kind is LineKind.FINE or not line.reason:
            continue
        yield Padding(Text(line.reason, style="dim"), (0, 0, 0, 2))


def _head(line: GateLine) -> RenderableType:
    before, after = values_words(line)
    values = f": {before} to {after}" if before and after else ""
    change = change_words(line)
    # In columns, so that what does not fit goes on under its beginning.
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row(
        Text(KIND_WORDS[line.kind], _LINE_STYLES.get(line.kind, "yellow")),
        Text(f"{line.model} on {line.device}, {line.condition}{values}{', ' + change if change else ''}"),
    )
    return grid
