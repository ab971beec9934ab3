"""Tables of figures on a terminal: a cell takes one line or two, as the terminal is wide.

Colours and bold are rich's affair: none on a pipe, none with NO_COLOR.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from steelyard.report.figures import Figure, figure
from steelyard.report.labels import in_lines, short_labels
from steelyard.report.listings import hanging, plain_table
from steelyard_protocol.v1 import measurement_pb2

_ONE_LINE_COLUMNS = 120
_LABEL_COLUMNS = 20
_HALF_LABEL_COLUMNS = 14
_LONGEST_IN_WORDS = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure over its interval, or beside it where the terminal is wide; ``mark`` leads to a footnote."""

    value: str
    interval: str = ""
    mark: str = ""
    style: str = ""

    def text(self, *, one_line: bool) -> Text:
        """Return the cell on one line or on two."""
        text = Text(self.value, style=self.style)
        gap = " " if one_line else "\n"
        if self.interval:
            text.append(f"{gap}({self.interval})" if one_line else f"{gap}{self.interval}", style="dim")
        if self.mark:
            text.append(f"{gap}{self.mark}", style="dim")
        return text


@dataclass(frozen=True, slots=True)
class Grid:
    """A table whose cells take one line or two, as the terminal is wide."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    explains_labels: bool = True

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        one_line = options.max_width >= _ONE_LINE_COLUMNS
        labels = [label for label, _ in self.rows]
        shorts = _shown_labels(labels)
        table = plain_table(title=self.title)
        table.add_column("variant", overflow="fold")
        for name in self.head:
            table.add_column(name, no_wrap=True)
        last = ""
        for short, (_, cells) in zip(shorts, self.rows, strict=True):
            label = short if one_line else in_lines(short, _HALF_LABEL_COLUMNS)
            # Several rows of one variant stand below its label.
            table.add_row(Text("" if short == last else label), *(cell.text(one_line=one_line) for cell in cells))
            last = short
        yield table
        for short, label in zip(shorts, labels, strict=True):
            if self.explains_labels and short != label:
                yield Text(f"{short} is {label}", style="dim")


def _shown_labels(labels: Sequence[str]) -> list[str]:
    """Return the labels cut where they are long; those of several words are broken between them instead."""
    shorts = short_labels(labels, _LABEL_COLUMNS)
    return [
        label if " " in label and len(label) <= _LONGEST_IN_WORDS else short
        for label, short in zip(labels, shorts, strict=True)
    ]


class Footnotes:
    """Reasons why a figure is missing; each is said once, below the tables."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def mark(self, reason: str) -> str:
        """Return what leads to a reason: "[1]"."""
        if reason not in self._reasons:
            self._reasons.append(reason)
        return f"[{self._reasons.index(reason) + 1}]"

    def lines(self) -> Iterable[RenderableType]:
        """Return the reasons behind their marks."""
        for number, reason in enumerate(self._reasons, start=1):
            yield hanging(f"[{number}] ", reason, style="dim")


def estimate_cell(estimate: measurement_pb2.Estimate, footnotes: Footnotes | None = None, style: str = "") -> Cell:
    """Return an estimate as a cell; without footnotes its reason is not said."""
    return figure_cell(figure(estimate), footnotes, style)


def figure_cell(shown: Figure, footnotes: Footnotes | None = None, style: str = "") -> Cell:
    """Return a figure as a cell; without footnotes its reason is not said."""
    mark = footnotes.mark(shown.reason) if footnotes is not None and shown.reason else ""
    return Cell(shown.value, shown.interval, mark, style if shown.is_known else "dim")
