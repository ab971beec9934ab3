"""The operators that take the longest: bars from zero, a group a variant, coloured by what they ran on."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from steelyard.report.charts.canvas import SMALL_FONT_PX, Canvas, text_width
from steelyard.report.charts.scales import Scale, from_zero
from steelyard.report.charts.series import COLOUR_COUNT, Series
from steelyard.report.labels import short_labels
from steelyard.report.operators import short_provider
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import measurement_pb2

_MOST = 8
_BAR_PX, _STEP_PX, _HEAD_PX, _GAP_PX = 8.0, 26.0, 20.0, 10.0
_LEFT, _RIGHT, _TOP = 4.0, 10.0, 6.0
_LABEL_LENGTH = 30
_LONGEST_KIND = 16


def providers_of(series: Sequence[Series]) -> list[str]:
    """Return the short names of what operators ran on, that of most of them first."""
    counts: dict[str, int] = {}
    for one in series:
        for operator in one.variant.operators.operators:
            name = short_provider(operator.provider)
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))


def provider_style(place: int) -> str:
    """Return the name of the style of the provider at this place; beyond seven, styles are repeated."""
    return f"p{1 + place % COLOUR_COUNT}"


def draw_operators(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw the longest operators of each variant that was profiled, or return None."""
    shown = [one for one in series if one.variant.operators.operators]
    if not shown:
        return None
    colours = {provider: f"var(--v{1 + place % COLOUR_COUNT})" for place, provider in enumerate(providers_of(series))}
    canvas = Canvas(
        name=name,
        width=width,
        height=_TOP + sum(_group_height(one) for one in shown),
        title="The longest operators",
        description="; ".join(f"{one.variant.label}: {_summary(one)}" for one in shown),
    )
    longest = [operator.mean_ns for one in shown for operator in _longest(one)]
    scale = from_zero(longest, start=_LEFT, end=width - _RIGHT)
    top = _TOP
    for one in shown:
        _draw_group(canvas, one, scale, colours, top)
        top += _group_height(one)
    return canvas.markup()


def _draw_group(canvas: Canvas, series: Series, scale: Scale, colours: dict[str, str], top: float) -> None:
    canvas.text((_LEFT, top + 11), series.label, series.label_kind)
    canvas.line((_LEFT, top + 16), (canvas.width - _RIGHT, top + 16), "grid")
    operators = _longest(series)
    labels = short_labels([_label(one) for one in operators], _LABEL_LENGTH)
    for row, (one, label) in enumerate(zip(operators, labels, strict=True)):
        y = top + _HEAD_PX + row * _STEP_PX
        text = f"{format_value(one.mean_ns, 'ns')} {100 * one.share:.0f} %"
        canvas.text((_LEFT, y + 11), label, "tick")
        if text_width(label, SMALL_FONT_PX) + text_width(text, SMALL_FONT_PX) + 20 < canvas.width:
            canvas.text((canvas.width - _RIGHT, y + 11), text, "tick", anchor="end")
        tip = f"{one.kind} {one.name} on {short_provider(one.provider)}: {text}"
        with canvas.group(colour=colours[short_provider(one.provider)], tip=tip):
            canvas.rect(scale.start, y + 15, scale(one.mean_ns) - scale.start, _BAR_PX, "bar", radius=1.5)


def _label(operator: measurement_pb2.OperatorShare) -> str:
    """Return kind and name, the name alone where it says the kind or the kind is a kernel's description."""
    if len(operator.kind) > _LONGEST_KIND or operator.name.startswith(operator.kind):
        return operator.name
    return f"{operator.kind} {operator.name}"


def _longest(series: Series) -> list[measurement_pb2.OperatorShare]:
    return list(series.variant.operators.operators[:_MOST])


def _group_height(series: Series) -> float:
    return _HEAD_PX + _STEP_PX * len(_longest(series)) + _GAP_PX


def _summary(series: Series) -> str:
    return ", ".join(f"{one.kind} {one.name} {100 * one.share:.0f} %" for one in _longest(series)[:3])
