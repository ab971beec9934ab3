"""Experiments as a list for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from steelyard.experiments.record import ExperimentRecord


def render_experiments(found: Sequence[tuple[str, ExperimentRecord]]) -> RenderableType:
    """Return a table with a line for each experiment, or a sentence where there is none."""
    if not found:
        return Text("no experiments yet; `steelyard experiment run NAME MODEL --recipe RECIPE` begins one")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("name", "recipes", "seeds", "trained", "devices"):
        table.add_column(column, justify="left" if column in {"name", "devices"} else "right")
    for name, record in found:
        trained = sum(1 for one in record.trainings if one.digest)
        counts = (str(len(record.recipes)), str(len(record.seeds)), str(trained))
        table.add_row(name, *counts, ", ".join(record.devices) or "none")
    return table
