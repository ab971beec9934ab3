"""What a variant costs besides its latency: file size, model load, first inference; bars from zero."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from steelyard.report.charts.canvas import SMALL_FONT_PX, Canvas, text_width, whisker
from steelyard.report.charts.scales import Scale, from_zero
from steelyard.report.charts.series import Series
from steelyard.report.figures import has_interval, is_known, one_line
from steelyard_protocol.v1 import measurement_pb2

_BAR_PX, _STEP_PX, _HEAD_PX, _GAP_PX = 9.0, 30.0, 20.0, 10.0
_LEFT, _RIGHT, _TOP = 4.0, 10.0, 6.0
_FIELDS = (("model load", "model_load"), ("first inference", "first_inference"))


def draw_costs(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw a block of bars for each cost that any variant has, or return None when there is no variant."""
    if not series:
        return None
    blocks = [("file size", [_size(one) for one in series])]
    for title, field in _FIELDS:
        estimates = [getattr(one.variant, field) for one in series]
        if any(is_known(estimate) for estimate in estimates):
            blocks.append((title, estimates))
    block_height = _HEAD_PX + _STEP_PX * len(series) + _GAP_PX
    canvas = Canvas(
        name=name,
        width=width,
        height=_TOP + block_height * len(blocks),
        title="File size and start-up costs",
        description="; ".join(
            f"{title}: "
            + ", ".join(f"{one.variant.label} {one_line(cost)}" for one, cost in zip(series, costs, strict=True))
            for title, costs in blocks
        ),
    )
    for index, (title, costs) in enumerate(blocks):
        top = _TOP + index * block_height
        canvas.text((_LEFT, top + 11), title, "axis")
        canvas.line((_LEFT, top + 16), (width - _RIGHT, top + 16), "grid")
        ends = [cost.high if has_interval(cost) else cost.value for cost in costs]
        scale = from_zero(ends, start=_LEFT, end=width - _RIGHT)
        for row, (one, cost) in enumerate(zip(series, costs, strict=True)):
            _draw_bar(canvas, one, cost, scale, top + _HEAD_PX + row * _STEP_PX)
    return canvas.markup()


def _draw_bar(canvas: Canvas, series: Series, cost: measurement_pb2.Estimate, scale: Scale, top: float) -> None:
    text = one_line(cost)
    canvas.text((_LEFT, top + 11), series.label, series.label_kind)
    if text_width(series.label) * 1.1 + text_width(text, SMALL_FONT_PX) + 20 < canvas.width:
        canvas.text((canvas.width - _RIGHT, top + 11), text, "tick", anchor="end")
    if not is_known(cost):
        return
    with canvas.group(colour=series.colour, tip=f"{series.variant.label}: {text}"):
        middle = top + 16 + _BAR_PX / 2
        canvas.rect(scale.start, top + 16, scale(cost.value) - scale.start, _BAR_PX, "bar", radius=1.5)
        if has_interval(cost) and cost.low < cost.high:
            whisker(canvas, (scale(cost.low), scale(cost.high)), middle)


def _size(series: Series) -> measurement_pb2.Estimate:
    size = float(series.variant.size_bytes)
    return measurement_pb2.Estimate(value=size, low=size, high=size, unit="B", confidence=0.95)
