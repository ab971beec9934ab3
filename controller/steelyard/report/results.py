"""Measurements as one table on a terminal: a line a model."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from steelyard.report.facts import utc
from steelyard.report.figures import one_line
from steelyard.report.listings import plain_table
from steelyard_protocol.v1 import measurement_pb2

_SHORT_ID = 8


def render_results(measurements: Sequence[measurement_pb2.Measurement]) -> RenderableType:
    """Return a line a model of each measurement: its p50, its score, and against the first of them."""
    table = plain_table()
    for name in ("job", "when", "device", "model", "p50", "score", "speed-up"):
        table.add_column(name, overflow="fold")
    for measurement in measurements:
        for index, variant in enumerate(measurement.variants):
            first = index == 0
            table.add_row(
                Text(measurement.job_id[:_SHORT_ID] if first else ""),
                Text(utc(measurement.finished_at, "%m-%d %H:%M").removesuffix(" UTC") if first else ""),
                Text(measurement.device_name if first else ""),
                Text(variant.label),
                Text(one_line(variant.p50_latency)),
                Text(one_line(variant.accuracy) if variant.accuracy.HasField("value") else ""),
                Text("" if variant.is_reference else one_line(variant.speedup)),
            )
    return table
