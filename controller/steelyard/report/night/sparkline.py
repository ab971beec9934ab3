"""A series' last nights as a small picture, with the change marked."""

from __future__ import annotations

from markupsafe import Markup

from steelyard.nightly.night_findings import Finding, Sparkline
from steelyard.report.charts.canvas import Canvas
from steelyard.report.night.words import change_text, series_text, since_text

WIDTH, HEIGHT = 168.0, 40.0
_EDGE = 4.0


def draw_sparkline(finding: Finding, *, name: str) -> Markup:
    """Return an SVG of the finding's series, empty where there is nothing to draw.

    Nights without a value leave a hole in the line; the nights of the new level are drawn apart, behind a mark.
    """
    sparkline = finding.sparkline
    if sparkline is None or sum(value is not None for value in sparkline.values) < 2:
        return Markup("")
    since = since_text(finding)
    canvas = Canvas(
        name=name,
        width=WIDTH,
        height=HEIGHT,
        title=f"{series_text(finding)}, last {len(sparkline.values)} nights",
        description=f"{change_text(finding)}{' since ' + since if since else ''}",
    )
    _draw(canvas, sparkline, _points(sparkline))
    return canvas.markup()


def _draw(canvas: Canvas, sparkline: Sparkline, points: list[tuple[float, float] | None]) -> None:
    change = sparkline.change_index
    if change is not None:
        x = _x(sparkline, change) - _step(sparkline) / 2
        canvas.rect(x, 0, WIDTH - x, HEIGHT, "after")
        canvas.line((x, 0), (x, HEIGHT), "mark")
    for part in _unbroken(points):
        if len(part) > 1:
            canvas.path(part, "thread")
        else:
            canvas.circle(part[0], 1.4, "lone")
    last = next(point for point in reversed(points) if point is not None)
    canvas.circle(last, 2.6, "now")


def _points(sparkline: Sparkline) -> list[tuple[float, float] | None]:
    known = [value for value in sparkline.values if value is not None]
    low, high = min(known), max(known)
    # Noise of a steady series must not fill the height: 4 % of the level is the least span shown.
    span = max(high - low, 0.04 * max(abs(low), abs(high))) or 1.0
    middle = (low + high) / 2
    return [
        None if value is None else (_x(sparkline, index), HEIGHT / 2 - (value - middle) / span * (HEIGHT - 2 * _EDGE))
        for index, value in enumerate(sparkline.values)
    ]


def _x(sparkline: Sparkline, index: int) -> float:
    return _EDGE + index * _step(sparkline)


def _step(sparkline: Sparkline) -> float:
    return (WIDTH - 2 * _EDGE) / max(1, len(sparkline.values) - 1)


def _unbroken(points: list[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    parts: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            parts.append([])
        else:
            parts[-1].append(point)
    return [part for part in parts if part]
