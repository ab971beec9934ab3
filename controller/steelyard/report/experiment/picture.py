"""Score against latency as one SVG that stands alone: a point a seed, a colour a recipe, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.experiments.figures import LATENCY
from steelyard.experiments.findings import ExperimentMetric, SeedFigure
from steelyard.report.charts.axes import x_axis, y_axis
from steelyard.report.charts.canvas import Canvas, marker
from steelyard.report.charts.scales import Scale, fitted
from steelyard.report.experiment.view import metric_title
from steelyard.report.labels import short_labels
from steelyard.stats.formatting import format_value

WIDTH = 860.0
_PLOT_PX, _HEAD_PX, _ROW_PX, _GAP_PX = 300.0, 44.0, 20.0, 44.0
_LEFT, _RIGHT, _MARK_PX, _CAP_PX = 76.0, 16.0, 4.0, 3.0
_LABEL_CHARACTERS = 90
_COLOURS = 7
_STYLE = """
svg{--text:#1f2328;--muted:#59636e;--grid:#e4e7eb;--page:#fff;--c1:#2563a8;--c2:#b4421f;--c3:#2e7d4f;--c4:#7b4bb3;
--c5:#a06a00;--c6:#0f7d86;--c7:#b03a6f;font-family:system-ui,sans-serif;background:var(--page)}
@media (prefers-color-scheme:dark){svg{--text:#e6e8eb;--muted:#9aa4af;--grid:#30363d;--page:#14171a;--c1:#79b8ff;
--c2:#ff9b7a;--c3:#7fd6a0;--c4:#c4a1f5;--c5:#e8bd5c;--c6:#6fd3dc;--c7:#f59bc4}}
.page{fill:var(--page)}.title{font-size:15px;font-weight:600;fill:var(--text)}.axis{font-size:12px;fill:var(--muted)}
.label{font-size:12px;fill:var(--text)}.tick{font-size:11px;fill:var(--muted)}.grid{stroke:var(--grid)}
.mark{fill:var(--c);stroke:var(--page)}.error{stroke:var(--c);opacity:.55;stroke-width:1.2}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A training's score (y) and time (x), both known."""

    score: SeedFigure
    time: SeedFigure


def draw_experiment(name: str, recipes: Sequence[str], figures: Sequence[SeedFigure]) -> str | None:
    """Return the SVG, a plot for each device, or None where no training has both a score and a latency."""
    plots = [plot for device in _devices(figures) if (plot := _pairs(figures, device))]
    if not plots:
        return None
    legend_px = _ROW_PX * len(recipes) + 8
    height = legend_px + sum(_HEAD_PX + _PLOT_PX + _GAP_PX for _ in plots)
    told = "; ".join(f"{one.score.recipe} seed {one.score.seed}: {_tip(one)}" for plot in plots for one in plot)
    canvas = Canvas(name="experiment", width=WIDTH, height=height, title=f"{name}: score and time", description=told)
    canvas.rect(0, 0, WIDTH, height, "page")
    _draw_legend(canvas, recipes)
    for index, plot in enumerate(plots):
        _draw_plot(canvas, plot, recipes, legend_px + index * (_HEAD_PX + _PLOT_PX + _GAP_PX))
    start, _, rest = str(canvas.markup()).partition(">")
    return f'{start} xmlns="http://www.w3.org/2000/svg"><style>{_STYLE}</style>{rest}\n'


def _devices(figures: Sequence[SeedFigure]) -> list[str]:
    return list(dict.fromkeys(one.metric.device for one in figures if one.metric.device))


def _pairs(figures: Sequence[SeedFigure], device: str) -> list[_Pair]:
    """Return the trainings with a score, of the device where it has one, else of the controller, and a time."""
    by_key = {(one.recipe, one.seed, one.metric): one for one in figures if one.value is not None}
    score = _score_metric(figures, device)
    times = [one for one in by_key.values() if (one.metric.name, one.metric.device) == (LATENCY, device)]
    pairs = ((by_key.get((one.recipe, one.seed, score)) if score else None, one) for one in times)
    return [_Pair(score=found, time=time) for found, time in pairs if found is not None]


def _score_metric(figures: Sequence[SeedFigure], device: str) -> ExperimentMetric | None:
    times = {"ns", "ratio"}
    for where in (device, ""):
        for one in figures:
            if one.metric.device == where and one.metric.unit not in times and one.value is not None:
                return one.metric
    return None


def _draw_legend(canvas: Canvas, recipes: Sequence[str]) -> None:
    for index, label in enumerate(short_labels(recipes, _LABEL_CHARACTERS)):
        y = 14 + _ROW_PX * index
        with canvas.group(colour=_colour(index)):
            marker(canvas, (16, y), index, _MARK_PX, "mark")
        canvas.text((28, y + 4), label, "label")


def _draw_plot(canvas: Canvas, plot: Sequence[_Pair], recipes: Sequence[str], top: float) -> None:
    score, time = plot[0].score.metric, plot[0].time.metric
    canvas.text((10, top + 22), f"{metric_title(score)}, by {metric_title(time)}", "title")
    start, end = top + _HEAD_PX + _PLOT_PX, top + _HEAD_PX
    y = _score_scale([one.score for one in plot], start, end)
    x = fitted(_ends([one.time for one in plot]), start=_LEFT, end=canvas.width - _RIGHT)
    y_axis(canvas, y, score.unit, left=_LEFT, right=canvas.width - _RIGHT)
    x_axis(canvas, x, time.unit, top=end, bottom=start)
    for one in plot:
        index = list(recipes).index(one.score.recipe)
        at = x(one.time.value or 0.0), y(one.score.value or 0.0)
        with canvas.group(colour=_colour(index), tip=f"{one.score.recipe} seed {one.score.seed}: {_tip(one)}"):
            if one.time.low is not None and one.time.high is not None:
                canvas.line((x(one.time.low), at[1]), (x(one.time.high), at[1]), "error")
            if one.score.low is not None and one.score.high is not None:
                canvas.line((at[0], y(one.score.low)), (at[0], y(one.score.high)), "error")
            marker(canvas, at, index, _MARK_PX, "mark")


def _score_scale(figures: Sequence[SeedFigure], start: float, end: float) -> Scale:
    values = _ends(figures)
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.01 * max(1.0, abs(high))
    return Scale(low=low - room, high=high + room, start=start, end=end)


def _ends(figures: Sequence[SeedFigure]) -> list[float]:
    return [end for one in figures for end in (one.low, one.value, one.high) if end is not None]


def _colour(index: int) -> str:
    return f"var(--c{1 + index % _COLOURS})"


def _tip(pair: _Pair) -> str:
    score, time = pair.score, pair.time
    told = format_value(score.value or 0.0, score.metric.unit), format_value(time.value or 0.0, time.metric.unit)
    return f"{told[0]} at {told[1]}"
