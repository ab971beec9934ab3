"""Energy of an inference: a block of bars a source, from zero; what idling takes is pale, what is above it is solid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from steelyard.report.charts.canvas import SMALL_FONT_PX, Canvas, text_width, whisker
from steelyard.report.charts.scales import Scale, from_zero
from steelyard.report.charts.series import Series
from steelyard.report.energy import EnergyTable, VariantEnergy
from steelyard.report.figures import has_interval, is_known, one_line

_BAR_PX, _STEP_PX, _HEAD_PX, _GAP_PX = 9.0, 30.0, 36.0, 10.0
_LEFT, _RIGHT, _TOP = 4.0, 10.0, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBars:
    """One source with the variants that ran."""

    table: EnergyTable
    rows: tuple[tuple[Series, VariantEnergy], ...]


def energy_bars(tables: Sequence[EnergyTable], series: Sequence[Series]) -> tuple[EnergyBars, ...]:
    """Return the bars of each source, in the colours of the other plots."""
    by_label = {one.variant.label: one for one in series}
    bars = (
        EnergyBars(
            table=table,
            rows=tuple((by_label[row.label], row) for row in table.rows if row.label in by_label),
        )
        for table in tables
    )
    return tuple(one for one in bars if any(is_known(row.gross) for _, row in one.rows))


def draw_energy(bars: Sequence[EnergyBars], *, name: str, width: float) -> Markup | None:
    """Draw a block for each source, or return None when none told anything."""
    if not bars:
        return None
    heights = [_HEAD_PX + _STEP_PX * len(one.rows) + _GAP_PX for one in bars]
    canvas = Canvas(
        name=name,
        width=width,
        height=_TOP + sum(heights),
        title="Energy of an inference",
        description="; ".join(f"{one.table.title}: {_summary(one)}" for one in bars),
    )
    top = _TOP
    for one, height in zip(bars, heights, strict=True):
        canvas.text((_LEFT, top + 11), _cut(one.table.title, width), "axis")
        canvas.text((_LEFT, top + 27), _cut(one.table.idle_text or "no idle baseline", width), "tick")
        canvas.line((_LEFT, top + 32), (width - _RIGHT, top + 32), "grid")
        ends = [row.gross.high if has_interval(row.gross) else row.gross.value for _, row in one.rows]
        scale = from_zero(ends, start=_LEFT, end=width - _RIGHT)
        for index, (series, row) in enumerate(one.rows):
            _draw_bar(canvas, series, row, scale, top + _HEAD_PX + index * _STEP_PX)
        top += height
    return canvas.markup()


def _draw_bar(canvas: Canvas, series: Series, row: VariantEnergy, scale: Scale, top: float) -> None:
    canvas.text((_LEFT, top + 11), series.label, series.label_kind)
    text = one_line(row.gross)
    if text_width(series.label) * 1.1 + text_width(text, SMALL_FONT_PX) + 20 < canvas.width:
        canvas.text((canvas.width - _RIGHT, top + 11), text, "tick", anchor="end")
    if not is_known(row.gross):
        return
    middle, end = top + 16 + _BAR_PX / 2, scale(row.gross.value)
    with canvas.group(colour=series.colour, tip=f"{series.variant.label}: {_words(row)}"):
        # Without a baseline all of it is one bar.
        above_j = row.above_idle_j
        split = scale.start if above_j is None else scale(max(0.0, row.gross.value - above_j))
        canvas.rect(scale.start, top + 16, split - scale.start, _BAR_PX, "mapped")
        canvas.rect(split, top + 16, end - split, _BAR_PX, "own", radius=1.5)
        if has_interval(row.gross) and row.gross.low < row.gross.high:
            whisker(canvas, (scale(max(0.0, row.gross.low)), scale(row.gross.high)), middle)


def _summary(bars: EnergyBars) -> str:
    return ", ".join(f"{series.variant.label} {_words(row)}" for series, row in bars.rows)


def _words(row: VariantEnergy) -> str:
    """Return "12.3 mJ (12.1 to 12.5), net 4.50 mJ (4.20 to 4.80)"."""
    return one_line(row.gross) + (f", net {one_line(row.net)}" if is_known(row.net) else "")


def _cut(text: str, width: float) -> str:
    """Return the text as far as it fits: sources are paths of any length."""
    while text_width(text) > width - _LEFT - _RIGHT and len(text) > 1:
        text = text[:-2] + "\N{HORIZONTAL ELLIPSIS}"
    return text
