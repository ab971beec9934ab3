"""How much faster than the reference: bars from 1x on a logarithmic axis, so that half and twice are as far from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from steelyard.report.charts.axes import x_axis
from steelyard.report.charts.canvas import Canvas, whisker
from steelyard.report.charts.scales import Scale
from steelyard.report.charts.series import Series
from steelyard.report.figures import comparison_text, has_interval, is_known, one_line
from steelyard_protocol.v1 import measurement_pb2

_ROW_PX, _BAR_PX, _HEAD_PX = 46.0, 14.0, 18.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 6.0, 12.0, 8.0, 24.0
# Narrower than this an axis would make noise look like a difference.
_LEAST_REACH = math.log(1.15)


def draw_speedups(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw a bar for each variant that was compared with the reference, or return None."""
    shown = [one for one in series if is_known(one.variant.speedup) and one.variant.speedup.value > 0]
    shown = [one for one in shown if not one.variant.is_reference]
    if not shown:
        return None
    height = _TOP + _ROW_PX * len(shown) + _BOTTOM
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title="Speed-up against the reference",
        description="; ".join(
            f"{one.variant.label}: {one_line(one.variant.speedup)}, {comparison_text(one.variant)}" for one in shown
        ),
    )
    scale = _scale(shown, width)
    x_axis(canvas, scale, "ratio", top=_TOP + _HEAD_PX, bottom=height - _BOTTOM)
    for row, one in enumerate(shown):
        _draw_bar(canvas, one, scale, _TOP + _ROW_PX * row)
    return canvas.markup()


def _scale(shown: Sequence[Series], width: float) -> Scale:
    ends = [1.0]
    for one in shown:
        speedup = one.variant.speedup
        ends += [speedup.low, speedup.high] if has_interval(speedup) and speedup.low > 0 else [speedup.value]
    low, high = math.log(min(ends)), math.log(max(ends))
    room = max(0.0, _LEAST_REACH - (high - low)) / 2 + 0.05 * max(high - low, _LEAST_REACH)
    return Scale(low=math.exp(low - room), high=math.exp(high + room), start=_LEFT, end=width - _RIGHT, is_log=True)


def _draw_bar(canvas: Canvas, series: Series, scale: Scale, top: float) -> None:
    speedup = series.variant.speedup
    bar_top = top + _HEAD_PX + 2
    middle = bar_top + _BAR_PX / 2
    left, right = sorted((scale(1.0), scale(speedup.value)))
    with canvas.group(
        colour=series.colour, tip=f"{series.variant.label}: {one_line(speedup)}, {comparison_text(series.variant)}"
    ):
        decided = series.variant.comparison in {
            measurement_pb2.COMPARISON_VERDICT_FASTER,
            measurement_pb2.COMPARISON_VERDICT_SLOWER,
        }
        canvas.rect(left, bar_top, right - left, _BAR_PX, "bar" if decided else "bar faint", radius=1.5)
        if has_interval(speedup):
            whisker(canvas, (scale(speedup.low), scale(speedup.high)), middle, cap=4)
    canvas.line((scale(1), bar_top - 3), (scale(1), bar_top + _BAR_PX + 3), "unity")
    canvas.text((_LEFT, top + 11), series.label, f"{series.label_kind} halo")
    text = f"{one_line(speedup)} {comparison_text(series.variant)}" if canvas.width >= 400 else one_line(speedup)
    canvas.text((canvas.width - _RIGHT, top + 11), text, "tick halo", anchor="end")
