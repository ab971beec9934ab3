"""Accuracy against latency, with the uncertainty of both and the noise-aware Pareto front.

Where accuracy was not measured, file size takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from steelyard.report.charts.axes import x_axis, y_axis
from steelyard.report.charts.canvas import Canvas, marker, text_width
from steelyard.report.charts.placement import Box, place_labels
from steelyard.report.charts.scales import Scale, fitted
from steelyard.report.charts.series import Series
from steelyard.report.figures import has_interval, is_known, one_line
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2

_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 30.0, 40.0
_MARKER_PX = 6.0
_CAP_PX = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    series: Series
    x: float
    y: float
    x_ends: tuple[float, float] | None
    y_ends: tuple[float, float] | None


def has_accuracy(series: Sequence[Series]) -> bool:
    """Whether any variant has both a score, accuracy or another, and a latency."""
    return any(is_known(one.variant.accuracy) and is_known(one.time) for one in series)


def draw_tradeoff(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw the plot, or return None when no variant has the time that its mode is about."""
    shows_accuracy = has_accuracy(series)
    shown = [one for one in series if is_known(one.time)]
    shown = [one for one in shown if not shows_accuracy or is_known(one.variant.accuracy)]
    if not shown:
        return None
    height = max(280.0, min(430.0, width * 0.72))
    score = shown[0].score
    what, axis = (score.title, score.name) if shows_accuracy else ("File size", "file size")
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title=f"{what} against {shown[0].time_words}",
        description="; ".join(_tip(one, shows_accuracy) for one in shown),
    )
    x_scale = fitted(_values([one.time for one in shown]), start=_LEFT, end=width - _RIGHT)
    y_scale = _y_scale(shown, shows_accuracy, height)
    x_axis(canvas, x_scale, "ns", top=_TOP, bottom=height - _BOTTOM)
    y_axis(canvas, y_scale, score.unit if shows_accuracy else "B", left=_LEFT, right=width - _RIGHT)
    better = "better is up" if shows_accuracy and score.higher_is_better else "better is down"
    canvas.text((4, 14), f"{axis} ({better} and to the left)", "axis")
    canvas.text((width - _RIGHT, height - 6), shown[0].time_words, "axis", anchor="end")
    points = [_point(one, x_scale, y_scale, shows_accuracy) for one in shown]
    if shows_accuracy:
        _draw_front(canvas, points, is_up=score.higher_is_better)
    _draw_points(canvas, points, shows_accuracy)
    _draw_labels(canvas, points)
    return canvas.markup()


def _y_scale(shown: Sequence[Series], shows_accuracy: bool, height: float) -> Scale:
    start, end = height - _BOTTOM, _TOP
    if not shows_accuracy:
        return fitted([float(one.variant.size_bytes) for one in shown], start=start, end=end)
    values = _values([one.variant.accuracy for one in shown])
    low, high = min(values), max(values)
    # At least two percentage points, so that a difference of one answer in a thousand does not look like a cliff.
    is_fraction = shown[0].score.unit == "fraction"
    least = 0.02 if is_fraction else 0.02 * max(abs(low), abs(high)) or 1.0
    room = max(0.0, least - (high - low)) / 2 + 0.08 * max(high - low, least)
    if not is_fraction or low < 0.0 or high > 1.0:
        return Scale(low=low - room, high=high + room, start=start, end=end)
    return Scale(low=max(-0.02, low - room), high=min(1.02, high + room), start=start, end=end)


def _values(estimates: Sequence[measurement_pb2.Estimate]) -> list[float]:
    ends = [end for one in estimates if has_interval(one) for end in (one.low, one.high)]
    return ends + [one.value for one in estimates]


def _point(series: Series, x_scale: Scale, y_scale: Scale, shows_accuracy: bool) -> _Point:
    variant = series.variant
    if not shows_accuracy:
        y, y_ends = y_scale(variant.size_bytes), None
    else:
        y, y_ends = y_scale(variant.accuracy.value), _ends(variant.accuracy, y_scale)
    time = series.time
    return _Point(series=series, x=x_scale(time.value), y=y, x_ends=_ends(time, x_scale), y_ends=y_ends)


def _ends(estimate: measurement_pb2.Estimate, scale: Scale) -> tuple[float, float] | None:
    return (scale(estimate.low), scale(estimate.high)) if has_interval(estimate) else None


def _draw_front(canvas: Canvas, points: Sequence[_Point], *, is_up: bool) -> None:
    """Join the members of the front that no other member beats outright; the rest are on it within the noise.

    ``is_up``: better is up, towards smaller y.
    """
    sign = 1.0 if is_up else -1.0
    on_front = (one for one in points if one.series.variant.on_pareto_front)
    members = sorted(on_front, key=lambda one: (one.x, sign * one.y))
    steps: list[tuple[float, float]] = []
    for member in members:
        if not steps or sign * member.y < sign * steps[-1][1]:
            if steps:
                steps.append((member.x, steps[-1][1]))
            steps.append((member.x, member.y))
    if len(steps) > 1:
        canvas.path(steps, "front")


def _draw_points(canvas: Canvas, points: Sequence[_Point], shows_accuracy: bool) -> None:
    for point in points:
        with canvas.group(colour=point.series.colour, tip=_tip(point.series, shows_accuracy)):
            if point.x_ends:
                _error_bar(canvas, [(x, point.y) for x in point.x_ends], (0.0, _CAP_PX))
            if point.y_ends:
                _error_bar(canvas, [(point.x, y) for y in point.y_ends], (_CAP_PX, 0.0))
            if point.series.is_chosen:
                canvas.circle((point.x, point.y), _MARKER_PX + 6, "ring")
            kind = "mark" if point.series.variant.on_pareto_front or not shows_accuracy else "mark hollow"
            marker(canvas, (point.x, point.y), point.series.shape, _MARKER_PX, kind)


def _error_bar(canvas: Canvas, ends: Sequence[tuple[float, float]], cap: tuple[float, float]) -> None:
    canvas.line(ends[0], ends[1], "error")
    for x, y in ends:
        canvas.line((x - cap[0], y - cap[1]), (x + cap[0], y + cap[1]), "error")


def _draw_labels(canvas: Canvas, points: Sequence[_Point]) -> None:
    marks = [_around(point.x, point.x, point.y, point.y, _MARKER_PX + 2) for point in points]
    marks += [_around(*point.x_ends, point.y, point.y, 1.5) for point in points if point.x_ends]
    marks += [_around(point.x, point.x, point.y_ends[1], point.y_ends[0], 1.5) for point in points if point.y_ends]
    # The chosen label is bold, about a tenth wider.
    widths = [text_width(point.series.label) * (1.1 if point.series.is_chosen else 1.0) for point in points]
    clearances = [_MARKER_PX + (11 if point.series.is_chosen else 5) for point in points]
    bounds = Box(left=_LEFT + 2, top=_TOP - 6, right=canvas.width - 2, bottom=canvas.height - _BOTTOM)
    places = place_labels([(point.x, point.y) for point in points], widths, clearances, marks, bounds)
    for point, place in zip(points, places, strict=True):
        if place.leader is not None:
            canvas.line((point.x, point.y), place.leader, "leader")
        canvas.text(place.baseline, point.series.label, f"{point.series.label_kind} halo")


def _around(left: float, right: float, top: float, bottom: float, room: float) -> Box:
    return Box(left=left - room, right=right + room, top=top - room, bottom=bottom + room)


def _tip(series: Series, shows_accuracy: bool) -> str:
    variant = series.variant
    other = one_line(variant.accuracy) if shows_accuracy else format_value(variant.size_bytes, "B")
    front = ", on the Pareto front" if variant.on_pareto_front else ""
    return f"{variant.label}: {other} at {one_line(series.time)}{front}"
