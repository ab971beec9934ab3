"""An experiment as one HTML file: its picture, and its tables."""

from __future__ import annotations

from markupsafe import Markup

from steelyard.report.experiment.view import ExperimentView
from steelyard.report.page import render_page


def render_experiment_page(view: ExperimentView, picture: str | None) -> str:
    """Return one HTML file that needs nothing else; ``picture`` is the SVG of ``draw_experiment``, None for none."""
    return render_page(
        "experiment.html.j2",
        styles=("report.css",),
        view=view,
        # Its texts were escaped where it was drawn.
        picture=Markup(picture or ""),  # noqa: S704
    )
