"""Every figure of a measurement in one table, for the page and for the model card."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap

from steelyard.report.energy import external_tables
from steelyard.report.figures import (
    NOT_MEASURED,
    comparison_text,
    detectable_text,
    failed,
    failure_text,
    figure,
    is_known,
    mcnemar_text,
)
from steelyard.report.score_words import score_name, score_of
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2

_DETAIL_CHARACTERS = 24
_HEAD = (
    "drop",
    "p50",
    "p90",
    "speed-up",
    "model load",
    "first inference",
    "peak memory",
    "energy",
    "size",
    "samples",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A figure and, in small lines below it, its interval and what else belongs to it."""

    value: str
    details: tuple[str, ...] = ()
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A variant: its cells in the order of ``make_head``, or why it failed."""

    label: str
    digest: str
    is_chosen: bool
    failure: str
    cells: tuple[Cell, ...]


def make_head(measurement: measurement_pb2.Measurement) -> tuple[str, ...]:
    """Return the names of the columns."""
    return (score_name(measurement), *_HEAD)


def make_rows(measurement: measurement_pb2.Measurement) -> tuple[Row, ...]:
    """Return a row for each variant, failed ones as well."""
    return tuple(
        Row(
            label=variant.label,
            digest=variant.artifact_digest[:12],
            is_chosen=bool(variant.label) and variant.label == measurement.decision.label,
            failure=failure_text(variant) if failed(variant) else "",
            cells=() if failed(variant) else _cells(variant, is_counted=score_of(measurement).is_accuracy),
        )
        for variant in measurement.variants
    )


def _cells(variant: measurement_pb2.VariantMeasurement, *, is_counted: bool) -> tuple[Cell, ...]:
    if variant.is_reference:
        speedup, drop = Cell(value="reference"), Cell(value="")
    else:
        speedup = estimate_cell(variant.speedup, comparison_text(variant), detectable_text(variant))
        drop = estimate_cell(variant.accuracy_drop, mcnemar_text(variant))
    answers = ""
    if variant.evaluated_count:
        count = variant.evaluated_count
        answers = f"{variant.correct_count} of {count}" if is_counted else f"{count} samples"
    costs = (variant.first_inference, variant.peak_memory)
    built = f"cached; built in {figure(variant.build_time).value}" if variant.prepared else ""
    return (
        estimate_cell(variant.accuracy, answers),
        drop,
        estimate_cell(variant.p50_latency),
        estimate_cell(variant.p90_latency),
        speedup,
        estimate_cell(variant.model_load, built),
        *map(estimate_cell, costs),
        _energy(variant),
        Cell(value=format_value(variant.size_bytes, "B")),
        Cell(value=str(variant.sample_count), details=(f"{len(variant.rounds)} rounds",) if variant.rounds else ()),
    )


def _energy(variant: measurement_pb2.VariantMeasurement) -> Cell:
    """Return what the device read of itself, net and power below it, and with their places what meters outside read."""
    inside = estimate_cell(variant.energy)
    # Two lines each: the widest column of the table pushes the others out of sight.
    mine = _net_and_power(variant.net_energy, variant.mean_power) if inside.is_known else ()
    outside: list[str] = []
    for table in external_tables([variant]):
        row = table.rows[0]
        if row.shown.is_known:
            outside += [
                f"{row.shown.value} {table.where}",
                row.shown.interval,
                *_net_and_power(row.net, row.mean_power),
            ]
    details = (*inside.details, *mine, *filter(None, outside))
    return Cell(value=inside.value, details=details, is_known=inside.is_known)


def _net_and_power(net: measurement_pb2.Estimate, power: measurement_pb2.Estimate) -> tuple[str, ...]:
    """Return "net 1.20 mJ" with its interval, and "mean 5.01 W", as far as they are known."""
    shown = figure(net)
    # "not distinguishable from idle" on one line would make this the widest column.
    nets = (*wrap(f"net {shown.value}", _DETAIL_CHARACTERS), shown.interval) if shown.is_known else ()
    return (*filter(None, nets), *([f"mean {figure(power).value}"] if is_known(power) else []))


def estimate_cell(estimate: measurement_pb2.Estimate, *more: str) -> Cell:
    """Return an estimate with its interval and what else belongs to it; its reason stands elsewhere."""
    shown = figure(estimate)
    if not shown.is_known:
        # The reasons stand below the table, once each.
        return Cell(value=NOT_MEASURED, is_known=False)
    return Cell(value=shown.value, details=tuple(part for part in (shown.interval, *more) if part))
