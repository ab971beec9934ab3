"""The median of every round, as its distance from the variant's own: what is steady lies flat."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from markupsafe import Markup

from steelyard.report.charts.canvas import Canvas
from steelyard.report.charts.scales import Scale
from steelyard.report.charts.series import Series
from steelyard_protocol.v1 import measurement_pb2

_ROW_PX, _STRIP_PX, _HEAD_PX = 62.0, 36.0, 18.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 6.0, 10.0, 8.0, 24.0
# The band is what `compare` calls no difference; a strip shows at least a bit more than it.
_BAND = 0.02
_LEAST_REACH = 0.03
_DOT_PX = 2.6


def draw_rounds(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw a strip for each variant with two rounds or more, or return None when none has them."""
    shown = [one for one in series if len(one.variant.rounds) > 1]
    if not shown:
        return None
    height = _TOP + _ROW_PX * len(shown) + _BOTTOM
    deviations = [_deviations(one.variant.rounds) for one in shown]
    reach = max(_LEAST_REACH, *(abs(value) for row in deviations for value in row))
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title="Median latency of each round",
        description="; ".join(
            f"{one.variant.label}: within {100 * max(map(abs, row)):.1f} % of its median"
            for one, row in zip(shown, deviations, strict=True)
        ),
    )
    last = max(point.round_index for one in shown for point in one.variant.rounds)
    x_scale = Scale(low=0, high=max(1, last), start=_LEFT + 4, end=width - _RIGHT - 4)
    for row, (one, values) in enumerate(zip(shown, deviations, strict=True)):
        _draw_strip(canvas, one, values, x_scale=x_scale, reach=reach, top=_TOP + _ROW_PX * row)
    canvas.text((_LEFT, height - 8), "round 1", "tick")
    canvas.text((width - _RIGHT, height - 8), f"round {last + 1}", "tick", anchor="end")
    return canvas.markup()


def _draw_strip(
    canvas: Canvas, series: Series, values: Sequence[float], *, x_scale: Scale, reach: float, top: float
) -> None:
    bottom = top + _HEAD_PX + _STRIP_PX
    y_scale = Scale(low=-reach, high=reach, start=bottom - _DOT_PX, end=top + _HEAD_PX + _DOT_PX)
    left, right = _LEFT, canvas.width - _RIGHT
    canvas.rect(left, y_scale(_BAND), right - left, y_scale(-_BAND) - y_scale(_BAND), "band")
    canvas.line((left, y_scale(0)), (right, y_scale(0)), "base")
    rounds = series.variant.rounds
    places = [(x_scale(point.round_index), y_scale(value)) for point, value in zip(rounds, values, strict=True)]
    with canvas.group(colour=series.colour):
        for before, after in itertools.pairwise(rounds):
            if before.segment != after.segment:
                x = (x_scale(before.round_index) + x_scale(after.round_index)) / 2
                canvas.line((x, top + _HEAD_PX - 2), (x, bottom + 2), "segment")
        canvas.path(places, "thread")
        for place in places:
            canvas.circle(place, _DOT_PX, "dot")
    canvas.text((left, top + 11), series.label, series.label_kind)
    spread = f"within {100 * max(map(abs, values)):.1f} %"
    canvas.text((right, top + 11), spread, "tick", anchor="end")


def _deviations(rounds: Sequence[measurement_pb2.RoundPercentiles]) -> list[float]:
    median = statistics.median(point.p50_ns for point in rounds)
    return [point.p50_ns / median - 1 if median > 0 else 0.0 for point in rounds]
