"""Energy on a terminal: a table a source, with its scope above it and the idle power below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from steelyard.report.energy import EnergyTable, device_tables, external_tables
from steelyard.report.figures import is_known
from steelyard.report.grid import Footnotes, Grid, estimate_cell, figure_cell
from steelyard_protocol.v1 import measurement_pb2


def energy_parts(
    measurement: measurement_pb2.Measurement,
    variants: Sequence[measurement_pb2.VariantMeasurement],
    footnotes: Footnotes,
) -> Iterable[RenderableType]:
    """Return a table a source: what one covers is not what another covers."""
    for table in (*device_tables(measurement, variants), *external_tables(variants)):
        yield Text()
        # Not the table's own title, which would be as narrow as the table.
        yield Text(table.title, style="bold")
        yield _grid(table, footnotes)
        if table.idle_text:
            yield Text(table.idle_text, style="dim")


def _grid(table: EnergyTable, footnotes: Footnotes) -> Grid:
    columns = {"an inference": [figure_cell(row.shown, footnotes) for row in table.rows]}
    # Without a baseline, or a window to divide by, nothing is missing from the gross energy alone.
    if table.has_net:
        columns["net of idle"] = [estimate_cell(row.net, footnotes) for row in table.rows]
    if any(is_known(row.mean_power) for row in table.rows):
        columns["mean power"] = [estimate_cell(row.mean_power) for row in table.rows]
    rows = zip((row.label for row in table.rows), zip(*columns.values(), strict=True), strict=True)
    return Grid("", tuple(columns), tuple(rows), explains_labels=False)
