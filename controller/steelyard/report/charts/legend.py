"""Which line is whose, above plots in which the labels have no place at the lines."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.report.charts.canvas import Canvas, marker, text_width
from steelyard.report.charts.series import Series

_ROW_PX, _MARK_PX, _GAP_PX = 20.0, 4.0, 18.0


def legend_height(series: Sequence[Series], width: float) -> float:
    """Return the height that a legend of these series takes."""
    return _ROW_PX * (1 + max((row for _, row, _ in _places(series, width)), default=0))


def draw_legend(canvas: Canvas, series: Sequence[Series], *, left: float, top: float) -> None:
    """Draw a marker and a label for each series, in as many rows as they need."""
    for x, row, one in _places(series, canvas.width - left):
        y = top + _ROW_PX * row + 10
        with canvas.group(colour=one.colour):
            marker(canvas, (left + x + _MARK_PX, y), one.shape, _MARK_PX, "mark")
        canvas.text((left + x + 3 * _MARK_PX, y + 4), one.label, one.label_kind)


def _places(series: Sequence[Series], width: float) -> list[tuple[float, int, Series]]:
    """Return the place of each entry: pixels from the left, and its row."""
    places = []
    x, row = 0.0, 0
    for one in series:
        needed = 3 * _MARK_PX + text_width(one.label) + _GAP_PX
        if x and x + needed > width:
            x, row = 0.0, row + 1
        places.append((x, row, one))
        x += needed
    return places
