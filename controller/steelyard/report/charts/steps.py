"""How the time of a sequence grows with its steps: the total at each stated number of steps."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from steelyard.report.charts.axes import x_axis, y_axis
from steelyard.report.charts.canvas import Canvas, marker
from steelyard.report.charts.legend import draw_legend, legend_height
from steelyard.report.charts.scales import Scale, fitted
from steelyard.report.charts.series import Series
from steelyard.report.figures import has_interval, is_known, one_line
from steelyard_protocol.v1 import measurement_pb2

_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 4.0, 40.0
_PLOT_PX, _HEAD_PX, _MARK_PX = 220.0, 24.0, 4.0


def draw_steps(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw a line for each variant with times at two numbers of steps or more, or return None."""
    shown = [one for one in series if len(_known(one)) > 1]
    if not shown:
        return None
    top = _TOP + legend_height(shown, width - _LEFT)
    height = top + _HEAD_PX + _PLOT_PX + _BOTTOM
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title="Time of a sequence by its number of steps",
        description="; ".join(f"{one.variant.label}: {_summary(one)}" for one in shown),
    )
    draw_legend(canvas, shown, left=_LEFT, top=_TOP)
    canvas.text((4, top + 12), "from a state of zeros to the end of so many steps", "axis")
    steps = [at for one in shown for at in _known(one)]
    x_scale = fitted([float(at.step_count) for at in steps], start=_LEFT + 8, end=width - _RIGHT)
    ends = [end for at in steps for end in _ends(at.total)]
    y_scale = fitted(ends, start=top + _HEAD_PX + _PLOT_PX, end=top + _HEAD_PX)
    y_axis(canvas, y_scale, "ns", left=_LEFT, right=width - _RIGHT)
    x_axis(canvas, x_scale, "steps", top=top + _HEAD_PX, bottom=height - _BOTTOM)
    for one in shown:
        _draw_line(canvas, one, x_scale, y_scale)
    return canvas.markup()


def _draw_line(canvas: Canvas, series: Series, x_scale: Scale, y_scale: Scale) -> None:
    with canvas.group(colour=series.colour, tip=f"{series.variant.label}: {_summary(series)}"):
        places = [(x_scale(at.step_count), y_scale(at.total.value)) for at in _known(series)]
        canvas.path(places, "line")
        for place, at in zip(places, _known(series), strict=True):
            if has_interval(at.total):
                canvas.line((place[0], y_scale(at.total.low)), (place[0], y_scale(at.total.high)), "error")
            marker(canvas, place, series.shape, _MARK_PX, "mark")


def _known(series: Series) -> list[measurement_pb2.StepEstimate]:
    return [at for at in series.variant.steps if is_known(at.total) and at.total.value > 0]


def _ends(estimate: measurement_pb2.Estimate) -> tuple[float, ...]:
    return (estimate.low, estimate.value, estimate.high) if has_interval(estimate) else (estimate.value,)


def _summary(series: Series) -> str:
    return ", ".join(f"{at.step_count} steps {one_line(at.total)}" for at in _known(series))
