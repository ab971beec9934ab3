"""An experiment as one HTML file: its picture, and its tables as they stand on a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

from markupsafe import Markup
from rich.console import Console

from steelyard.experiments.findings import Findings, SeedFigure
from steelyard.experiments.record import ExperimentRecord
from steelyard.report.experiment.picture import draw_experiment
from steelyard.report.experiment.terminal import render_experiment
from steelyard.report.page import render_page

# As wide as a page is read.
_COLUMNS = 100


def render_experiment_page(
    name: str, record: ExperimentRecord, findings: Findings, figures: Sequence[SeedFigure], *, model_name: str
) -> str:
    """Return one HTML file that needs nothing else; without a picture where no model has a score and a time."""
    picture = draw_experiment(name, [one.name for one in record.recipes], figures)
    return render_page(
        "experiment.html.j2",
        styles=("report.css",),
        name=name,
        # Its texts were escaped where it was drawn.
        picture=Markup(picture or ""),  # noqa: S704
        text=_as_text(name, record, findings, model_name),
    )


def _as_text(name: str, record: ExperimentRecord, findings: Findings, model_name: str) -> str:
    target = io.StringIO()
    console = Console(file=target, width=_COLUMNS, highlight=False, markup=False, emoji=False, color_system=None)
    console.print(render_experiment(name, record, findings, model_name=model_name))
    return target.getvalue()
