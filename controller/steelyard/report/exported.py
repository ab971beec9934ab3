"""The table of a measurement that papers and spreadsheets take: what is in it, before anything is formatted."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.report.energy import energy_tables
from steelyard.report.figures import NO_REASON, failed, failure_text, has_interval, is_known
from steelyard.report.score_words import score_of
from steelyard.stats.task_metric import TaskMetric
from steelyard_protocol.v1 import measurement_pb2

_DECIDED = (measurement_pb2.COMPARISON_VERDICT_FASTER, measurement_pb2.COMPARISON_VERDICT_SLOWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One figure in its wire unit; without a value ``reason`` says why, without an interval both ends are None.

    ``note`` is what must be read beside a figure that is there, "" for nothing.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One figure of every variant. ``name`` is for machines ("p50"), ``unit`` that of the wire ("ns", "ratio")."""

    name: str
    title: str
    unit: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTable:
    """One measurement. ``labels``, ``verdicts`` and the entries of every column are in the order of its variants.

    ``failures`` by label say why a variant could not be measured at all.
    """

    measurement: measurement_pb2.Measurement
    labels: tuple[str, ...]
    verdicts: tuple[str, ...]
    failures: dict[str, str]
    columns: tuple[Column, ...]


def exported_table(measurement: measurement_pb2.Measurement) -> ExportedTable:
    """Return the score, p50, p90, speed-up, energy, memory and size of every variant."""
    variants, score = measurement.variants, score_of(measurement)
    return ExportedTable(
        measurement=measurement,
        labels=tuple(one.label for one in variants),
        verdicts=tuple(verdict_word(one) for one in variants),
        failures={one.label: failure_text(one) for one in variants if failed(one)},
        columns=(
            _column(_score_column(score), score.name, score.unit, [_entry(one.accuracy) for one in variants]),
            _column("p50", "p50", "ns", [_entry(one.p50_latency) for one in variants]),
            _column("p90", "p90", "ns", [_entry(one.p90_latency) for one in variants]),
            _column("speedup", "speed-up", "ratio", [_speedup(one) for one in variants]),
            _column("energy", "energy", "J", _energies(measurement)),
            _column("peak_memory", "memory", "B", [_entry(one.peak_memory) for one in variants]),
            _column("size", "size", "B", [_size(one) for one in variants]),
        ),
    )


def verdict_word(variant: measurement_pb2.VariantMeasurement) -> str:
    """Return "reference", "failed", "faster", "slower", "no difference", "undecided", "not compared"."""
    if failed(variant):
        return "failed"
    if variant.is_reference:
        return "reference"
    if variant.comparison == measurement_pb2.COMPARISON_VERDICT_UNSPECIFIED:
        return "not compared"
    name = measurement_pb2.ComparisonVerdict.Name(variant.comparison)
    return name.removeprefix("COMPARISON_VERDICT_").lower().replace("_", " ")


def _score_column(score: TaskMetric) -> str:
    return "accuracy" if score.kind == "top1" else score.kind.replace("-", "_")


def _column(name: str, title: str, unit: str, entries: list[Entry]) -> Column:
    return Column(name=name, title=title, unit=unit, entries=tuple(entries))


def _entry(estimate: measurement_pb2.Estimate, note: str = "") -> Entry:
    if not is_known(estimate):
        return Entry(reason=estimate.reason or NO_REASON)
    if not has_interval(estimate):
        without = f"without an interval: {estimate.reason}" if estimate.reason else "without an interval"
        return Entry(value=estimate.value, note="; ".join(filter(None, (without, note))))
    return Entry(value=estimate.value, low=estimate.low, high=estimate.high, note=note)


def _speedup(variant: measurement_pb2.VariantMeasurement) -> Entry:
    if variant.is_reference:
        return Entry(reason="the reference, which the others are compared with")
    return _entry(variant.speedup, "" if variant.comparison in _DECIDED else verdict_word(variant))


def _energies(measurement: measurement_pb2.Measurement) -> list[Entry]:
    """Return each variant's gross energy, of the first source that told it, with the place that it was read at."""
    found: dict[str, Entry] = {}
    for table in energy_tables(measurement):
        for row in table.rows:
            if is_known(row.gross) and row.label not in found:
                found[row.label] = _entry(row.gross, "; ".join(filter(None, (table.title, row.low_confidence))))
    return [found.get(one.label, Entry(reason=one.energy.reason or NO_REASON)) for one in measurement.variants]


def _size(variant: measurement_pb2.VariantMeasurement) -> Entry:
    return Entry(value=float(variant.size_bytes))
