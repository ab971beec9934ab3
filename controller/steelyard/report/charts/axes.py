"""Axes: hairlines with round values, without two values on top of each other."""

from __future__ import annotations

from steelyard.report.charts.canvas import SMALL_FONT_PX, Canvas, text_width
from steelyard.report.charts.scales import Scale, tick_text, unit_size

_GAP_PX = 8.0


def x_axis(canvas: Canvas, scale: Scale, unit: str, *, top: float, bottom: float) -> None:
    """Draw vertical hairlines from ``top`` to ``bottom`` with their values below."""
    count = max(2, int(abs(scale.end - scale.start) / 64))
    free_from = -1e9
    size = unit_size(scale, unit)
    for tick in scale.ticks(count, unit_size=size):
        x, text = scale(tick), tick_text(tick, unit, size)
        canvas.line((x, top), (x, bottom), "grid")
        half = text_width(text, SMALL_FONT_PX) / 2
        centre = min(max(x, half), canvas.width - half)
        if centre - half >= free_from:
            canvas.text((centre, bottom + 15), text, "tick", anchor="middle")
            free_from = centre + half + _GAP_PX


def y_axis(canvas: Canvas, scale: Scale, unit: str, *, left: float, right: float) -> None:
    """Draw horizontal hairlines from ``left`` to ``right`` with their values on the left."""
    count = max(2, int(abs(scale.end - scale.start) / 48))
    size = unit_size(scale, unit)
    for tick in scale.ticks(count, unit_size=size):
        y = scale(tick)
        canvas.line((left, y), (right, y), "grid")
        canvas.text((left - 6, y + 4), tick_text(tick, unit, size), "tick", anchor="end")
