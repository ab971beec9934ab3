"""What minutes of load do: the p50 of each point of the curve over time, temperature and clock below where known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from steelyard.report.charts.axes import x_axis, y_axis
from steelyard.report.charts.canvas import Canvas
from steelyard.report.charts.legend import draw_legend, legend_height
from steelyard.report.charts.scales import Scale, fitted
from steelyard.report.charts.series import Series
from steelyard.report.figures import one_line
from steelyard_protocol.v1 import result_pb2

_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 10.0, 4.0, 24.0
_LATENCY_PX, _HEAT_PX, _HEAD_PX, _GAP_PX = 170.0, 74.0, 22.0, 12.0
_MINUTES_FROM_S = 120.0
_Point = result_pb2.CurvePoint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """A strip of the plot with an axis of its own; ``value_of`` is None where a point does not tell."""

    title: str
    unit: str
    height: float
    value_of: Callable[[_Point], float | None]


def _temperature(point: _Point) -> float | None:
    return point.temperature_c if point.HasField("temperature_c") else None


def _clock(point: _Point) -> float | None:
    return point.frequency_hz / 1e9 if point.HasField("frequency_hz") else None


_PANELS = (
    _Panel(title="p50 of each point", unit="ns", height=_LATENCY_PX, value_of=lambda point: float(point.p50_ns)),
    _Panel(title="temperature", unit="C", height=_HEAT_PX, value_of=_temperature),
    _Panel(title="clock", unit="GHz", height=_HEAT_PX, value_of=_clock),
)


def draw_curves(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw the last curve of each variant, or return None when none has two points."""
    shown = [one for one in series if len(one.variant.curve) > 1]
    if not shown:
        return None
    panels = [panel for panel in _PANELS if any(_values(one, panel) for one in shown)]
    top = _TOP + legend_height(shown, width - _LEFT)
    height = top + sum(_HEAD_PX + panel.height + _GAP_PX for panel in panels) + _BOTTOM
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title="Latency over time under sustained load",
        description="; ".join(f"{one.variant.label}: {_summary(one)}" for one in shown),
    )
    draw_legend(canvas, shown, left=_LEFT, top=_TOP)
    last_s = max(point.offset_ms for one in shown for point in one.variant.curve) / 1000
    unit, unit_s = ("min", 60.0) if last_s >= _MINUTES_FROM_S else ("s", 1.0)
    x_scale = Scale(low=0.0, high=max(last_s / unit_s, 1e-3), start=_LEFT, end=width - _RIGHT)
    for panel in panels:
        _draw_panel(canvas, shown, panel, x_scale, unit_s=unit_s, top=top)
        top += _HEAD_PX + panel.height + _GAP_PX
    x_axis(canvas, x_scale, unit, top=height - _BOTTOM - _GAP_PX, bottom=height - _BOTTOM - _GAP_PX + 4)
    return canvas.markup()


def _draw_panel(
    canvas: Canvas, shown: Sequence[Series], panel: _Panel, x_scale: Scale, *, unit_s: float, top: float
) -> None:
    canvas.text((4, top + 12), panel.title, "axis")
    start, end = top + _HEAD_PX + panel.height, top + _HEAD_PX
    y_scale = fitted((value for one in shown for _, value in _values(one, panel)), start=start, end=end)
    y_axis(canvas, y_scale, panel.unit, left=_LEFT, right=canvas.width - _RIGHT)
    for one in shown:
        places = [(x_scale(offset_s / unit_s), y_scale(value)) for offset_s, value in _values(one, panel)]
        if len(places) > 1:
            with canvas.group(colour=one.colour, tip=f"{one.variant.label}: {_summary(one)}"):
                canvas.path(places, "line")


def _values(series: Series, panel: _Panel) -> list[tuple[float, float]]:
    """Return (seconds, value) of the points that tell it."""
    told = ((point.offset_ms / 1000, panel.value_of(point)) for point in series.variant.curve)
    return [(offset_s, value) for offset_s, value in told if value is not None]


def _summary(series: Series) -> str:
    variant = series.variant
    return f"first quarter {one_line(variant.curve_start)}, last quarter {one_line(variant.curve_end)}"
