"""Tables of measurements as LaTeX: rules of booktabs, units in the head, no other package."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.report.exported import Column, Entry, ExportedTable, exported_table
from steelyard.report.score_words import score_name, score_on_task
from steelyard.stats.formatting import ColumnScale
from steelyard_protocol.v1 import measurement_pb2

NOT_AVAILABLE = "n/a"
_HEAD = "% Tables by Steelyard; \\input this file in a document with \\usepackage{booktabs}.\n"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Behind the end of a row they would be read as its arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "`": "{`}",
    # \textquotedbl is of the T1 encoding alone.
    '"': "''",
}


def render_latex(measurements: Sequence[measurement_pb2.Measurement]) -> str:
    """Return a table environment for each measurement."""
    return _HEAD + "\n".join(_table(exported_table(one)) for one in measurements)


def escape(text: str) -> str:
    """Return a text that LaTeX shows as it is; characters beyond ASCII as their nearest letters, else as "?".

    Which of them a document can show depends on its fonts and its engine, and the table must compile in all.
    """
    plain = unicodedata.normalize("NFKD", text)
    kept = (one for one in plain if not unicodedata.combining(one))
    shown = "".join(_SPECIAL.get(one, one if " " <= one <= "~" else " " if one.isspace() else "?") for one in kept)
    # Two hyphens would be drawn as a dash.
    return shown.replace("--", "-{}-").replace("--", "-{}-")


@dataclass(slots=True)
class _Notes:
    """Footnotes of one table, equal ones once."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        if not text:
            return ""
        if text not in self.texts:
            self.texts.append(text)
        return rf"\textsuperscript{{{self.texts.index(text) + 1}}}"


def _table(table: ExportedTable) -> str:
    notes = _Notes()
    columns = [_Column.of(one, table) for one in table.columns]
    rows = [_rows(table, columns, index, notes) for index in range(len(table.labels))]
    heads = [" & ".join(["variant", *(one.title for one in columns)]), " & ".join(["", *(one.unit for one in columns)])]
    body = [
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        *(rf"{head} \\" for head in heads),
        r"\midrule",
        "\n\\addlinespace\n".join(rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    # A minipage, so that the notes are as wide as the text whatever the table's width is.
    footer = [
        "",
        r"\smallskip\begin{minipage}{\linewidth}\footnotesize\raggedright",
        *(rf"\textsuperscript{{{number}}} {escape(text)}\par" for number, text in enumerate(notes.texts, start=1)),
        r"\end{minipage}",
    ]
    head = [r"\begin{table}", r"\centering", rf"\caption{{{_caption(table.measurement)}}}", r"\footnotesize"]
    return "\n".join(
        [*head, r"\setlength{\tabcolsep}{3pt}", *body, *(footer if notes.texts else []), r"\end{table}", ""]
    )


def _caption(measurement: measurement_pb2.Measurement) -> str:
    confidence = f"{100 * measurement.confidence:g} %"
    score = score_on_task(measurement) or score_name(measurement)
    compared = measurement.primary_figure or "p50"
    words = (
        f"{measurement.title or 'Measurement'} on {measurement.device_name}: {measurement.round_count} rounds, "
        f"intervals at {confidence} over rounds, of {score} over samples; speed-up by {compared}; "
        "energy of one inference; memory at its peak over the runtime alone."
    )
    return escape(words)


def _rows(table: ExportedTable, columns: Sequence[_Column], index: int, notes: _Notes) -> str:
    """Return the figures of a variant, and in a line below them their intervals."""
    label = table.labels[index]
    if label in table.failures:
        mark = notes.mark(table.failures[label])
        return rf"{escape(label)} & \multicolumn{{{len(columns)}}}{{l}}{{not measured{mark}}} \\"
    values = " & ".join([escape(label), *(one.value(index, notes) for one in columns)])
    intervals = " & ".join(["", *(one.interval(index) for one in columns)])
    return rf"{values} \\" + "\n" + rf"{intervals} \\"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    column: Column
    scale: ColumnScale

    @classmethod
    def of(cls, column: Column, table: ExportedTable) -> _Column:
        shown = [
            entry for entry, label in zip(column.entries, table.labels, strict=True) if label not in table.failures
        ]
        values = [entry.value for entry in shown if entry.value is not None]
        return cls(column=column, scale=ColumnScale.of(values, column.unit))

    @property
    def title(self) -> str:
        return escape(self.column.title)

    @property
    def unit(self) -> str:
        if not self.scale.unit:
            return ""
        return r"($\times$)" if self.scale.unit == "x" else f"({escape(self.scale.unit)})"

    def value(self, index: int, notes: _Notes) -> str:
        entry = self.column.entries[index]
        if entry.value is None:
            return NOT_AVAILABLE + notes.mark(entry.reason)
        return f"{self._texts(entry)[0]}{notes.mark(entry.note)}"

    def interval(self, index: int) -> str:
        entry = self.column.entries[index]
        if entry.value is None or entry.low is None or entry.high is None or entry.low == entry.high:
            return ""
        _, low, high = self._texts(entry)
        # A dash is narrow enough for seven columns on a page; beside a minus it would be misread.
        between = " to " if "-" in f"{low}{high}" else "--"
        return rf"\scriptsize {low}{between}{high}"

    def _texts(self, entry: Entry) -> tuple[str, str, str]:
        """Return the value and the ends of its interval, numbers with a mathematical minus."""
        assert entry.value is not None
        if entry.low is None or entry.high is None or entry.low == entry.high:
            texts = (self.scale.number(entry.value), "", "")
        else:
            texts = self.scale.interval(entry.value, entry.low, entry.high)
        value, low, high = (one.replace("-", "$-$") for one in texts)
        return value, low, high
