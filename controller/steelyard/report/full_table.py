"""Every figure of a measurement in one table, for the page and for the model card."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.report.external_energy import external_figures
from steelyard.report.figures import (
    NOT_MEASURED,
    comparison_text,
    detectable_text,
    failed,
    failure_text,
    figure,
    mcnemar_text,
)
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2

HEAD = (
    "accuracy",
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
    """A variant: its cells in the order of ``HEAD``, or why it failed."""

    label: str
    digest: str
    is_chosen: bool
    failure: str
    cells: tuple[Cell, ...]


def make_rows(measurement: measurement_pb2.Measurement) -> tuple[Row, ...]:
    """Return a row for each variant, failed ones as well."""
    return tuple(
        Row(
            label=variant.label,
            digest=variant.artifact_digest[:12],
            is_chosen=bool(variant.label) and variant.label == measurement.decision.label,
            failure=failure_text(variant) if failed(variant) else "",
            cells=() if failed(variant) else _cells(variant),
        )
        for variant in measurement.variants
    )


def _cells(variant: measurement_pb2.VariantMeasurement) -> tuple[Cell, ...]:
    if variant.is_reference:
        speedup, drop = Cell(value="reference"), Cell(value="")
    else:
        speedup = _cell(variant.speedup, comparison_text(variant), detectable_text(variant))
        drop = _cell(variant.accuracy_drop, mcnemar_text(variant))
    answers = f"{variant.correct_count} of {variant.evaluated_count}" if variant.evaluated_count else ""
    costs = (variant.first_inference, variant.peak_memory)
    built = f"cached; built in {figure(variant.build_time).value}" if variant.prepared else ""
    return (
        _cell(variant.accuracy, answers),
        drop,
        _cell(variant.p50_latency),
        _cell(variant.p90_latency),
        speedup,
        _cell(variant.model_load, built),
        *map(_cell, costs),
        _energy(variant),
        Cell(value=format_value(variant.size_bytes, "B")),
        Cell(value=str(variant.sample_count), details=(f"{len(variant.rounds)} rounds",) if variant.rounds else ()),
    )


def _energy(variant: measurement_pb2.VariantMeasurement) -> Cell:
    """Return what the device read of itself, and below it, each with its scope, what meters outside it read."""
    inside = _cell(variant.energy)
    outside = tuple(
        detail
        for one in external_figures(variant)
        if one.is_known
        # Two lines: the widest column of the table pushes the others out of sight.
        for detail in (f"{one.value} at the {one.scope}", one.interval)
        if detail
    )
    return Cell(value=inside.value, details=(*inside.details, *outside), is_known=inside.is_known)


def _cell(estimate: measurement_pb2.Estimate, *more: str) -> Cell:
    shown = figure(estimate)
    if not shown.is_known:
        # The reasons stand below the table, once each.
        return Cell(value=NOT_MEASURED, is_known=False)
    return Cell(value=shown.value, details=tuple(part for part in (shown.interval, *more) if part))
