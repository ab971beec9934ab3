"""The report: one HTML file that needs nothing else, no script and no network."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.report.cards import Card, make_cards
from steelyard.report.energy import energy_tables
from steelyard.report.facts import Facts, device_facts, file_facts, method_facts, utc
from steelyard.report.figures import requirement_text
from steelyard.report.full_table import Cell, Row, estimate_cell, make_head, make_rows
from steelyard.report.gaps import find_gaps, gap_texts
from steelyard.report.memory import memory_facts
from steelyard.report.mode_tables import ModeTable, mode_tables
from steelyard.report.numeric import numeric_facts
from steelyard.report.operators import operator_sentences
from steelyard.report.page import render_page
from steelyard.report.tiles import Tile, make_tiles
from steelyard_protocol.v1 import measurement_pb2

_KINDS = {
    measurement_pb2.DECISION_KIND_SHIP: ("ship", "Ship"),
    measurement_pb2.DECISION_KIND_KEEP_ORIGINAL: ("keep", "Keep the original"),
    measurement_pb2.DECISION_KIND_UNMET: ("unmet", "Requirements unmet"),
    measurement_pb2.DECISION_KIND_UNDECIDED: ("open", "Undecided"),
    measurement_pb2.DECISION_KIND_INCOMPLETE: ("open", "Incomplete"),
}
_NO_DECISION = ("open", "No decision")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Requirement:
    label: str
    requirement: str
    verdict: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModeTable:
    """A table that the mode adds: heads of columns, and rows of a label and its cells."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """One measurement as the template shows it."""

    anchor: str
    title: str
    device_name: str
    when: str
    kind: str
    kind_word: str
    sentence: str
    tiles: tuple[Tile, ...]
    requirements: tuple[_Requirement, ...]
    cards: tuple[Card, ...]
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    mode_tables: tuple[_ModeTable, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    gaps: tuple[str, ...]
    device: Facts
    method: Facts
    outputs: Facts
    memory: Facts
    files: Facts


def render_html(
    measurements: Sequence[measurement_pb2.Measurement], *, generated_at: dt.datetime, controller: str
) -> str:
    """Return the report of these measurements as one HTML document.

    Args:
        measurements: one a model, in the order in which they are shown.
        generated_at: with a time zone; shown in UTC.
        controller: who made it, for people: "steelyard 0.1.0 on laptop".
    """
    return render_page(
        "report.html.j2",
        styles=("report.css",),
        sections=[_section(measurement, index) for index, measurement in enumerate(measurements, start=1)],
        generated_at=f"{generated_at.astimezone(dt.timezone.utc):%Y-%m-%d %H:%M} UTC",
        controller=controller,
    )


def _section(measurement: measurement_pb2.Measurement, number: int) -> _Section:
    kind, word = _KINDS.get(measurement.decision.kind, _NO_DECISION)
    return _Section(
        anchor=f"model-{number}",
        title=measurement.title or "Measurement",
        device_name=measurement.device_name,
        when=utc(measurement.finished_at, "%Y-%m-%d %H:%M"),
        kind=kind,
        kind_word=word,
        sentence=measurement.decision.sentence or "No decision was recorded.",
        tiles=make_tiles(measurement),
        requirements=_requirements(measurement),
        cards=make_cards(measurement, name=f"m{number}"),
        head=make_head(measurement),
        rows=make_rows(measurement),
        mode_tables=tuple(map(_mode_table, mode_tables(measurement))),
        warnings=tuple(measurement.warnings),
        notes=(
            *(f"{variant.label}: {note}" for variant in measurement.variants for note in _notes(variant)),
            *_energy_notes(measurement),
        ),
        gaps=tuple(gap_texts(find_gaps(measurement))),
        device=device_facts(measurement),
        method=method_facts(measurement),
        outputs=numeric_facts(measurement),
        memory=memory_facts(measurement),
        files=file_facts(measurement),
    )


def _mode_table(table: ModeTable) -> _ModeTable:
    rows = tuple(
        (label, tuple(Cell(value=one) if isinstance(one, str) else estimate_cell(one) for one in figures))
        for label, figures in table.rows
    )
    return _ModeTable(title=table.title, head=table.head, rows=rows)


def _notes(variant: measurement_pb2.VariantMeasurement) -> tuple[str, ...]:
    return (*variant.notes, *operator_sentences(variant))


def _energy_notes(measurement: measurement_pb2.Measurement) -> Iterator[str]:
    """Return what the confidence of each energy lacks, and the idle power below it."""
    for table in energy_tables(measurement):
        for row in table.rows:
            if row.low_confidence:
                yield f"{row.label}: energy {table.where}: {row.low_confidence}"
        if table.idle_text:
            yield f"{table.title}: {table.idle_text}"


def _requirements(measurement: measurement_pb2.Measurement) -> tuple[_Requirement, ...]:
    return tuple(
        _Requirement(
            label=variant.label,
            requirement=outcome.requirement,
            verdict=requirement_text(outcome),
            because=outcome.because,
        )
        for variant in measurement.variants
        for outcome in variant.requirements
    )
