"""An experiment on a terminal: its recipes over seeds, and what may be claimed; nothing is printed here."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from steelyard.report.experiment.view import DifferenceRow, ExperimentView, MeanRow
from steelyard.report.listings import hanging
from steelyard.report.long_names import name_lines

_NAME_COLUMNS, _CLAIM_COLUMNS = 24, 40


def render_experiment(view: ExperimentView) -> RenderableType:
    """Return tables by metric, the differences, and what the figures rest on."""
    parts: list[RenderableType] = [Text(f"{view.name}: {view.heading}")]
    if view.shared:
        parts.append(Text(view.shared))
    for title, rows in view.tables.items():
        parts += [Text(), Text(title, style="bold"), _means(rows)]
    if view.differences:
        parts += [Text(), Text("differences, by seed", style="bold"), _differences(view.differences)]
    parts += [Text(), *(hanging("- ", line) for line in view.notes)]
    return Group(*parts)


def _means(rows: Sequence[MeanRow]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("recipe", max_width=_NAME_COLUMNS, overflow="fold")
    for column in ("seeds", "mean", "training", "measured"):
        table.add_column(column, justify="right")
    for one in rows:
        table.add_row(
            "\n".join(name_lines(one.recipe, _NAME_COLUMNS)),
            str(one.seeds),
            _two(one.mean, one.interval),
            _two(one.training, one.training_interval),
            one.measured,
        )
    return table


def _differences(rows: Sequence[DifferenceRow]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in ("of", "difference", "p, Holm", "exact p"):
        table.add_column(column, justify="left" if column == "of" else "right")
    for one in rows:
        what = [*name_lines(f"{one.title}:", _CLAIM_COLUMNS), *name_lines(one.pair, _CLAIM_COLUMNS)]
        verdict = f"{one.adjusted_p}{' *' if one.holds else ''}"
        table.add_row("\n".join(what), _two(one.difference, one.interval), verdict, one.exact_p)
    return table


def _two(figure: str, interval: str) -> str:
    return f"{figure}\n{interval}".rstrip()
