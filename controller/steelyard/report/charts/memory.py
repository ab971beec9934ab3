"""Resident memory of the worker by phase: what is the process's own, what is mapped from files, and the peak."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from steelyard.report.charts.axes import x_axis
from steelyard.report.charts.canvas import SMALL_FONT_PX, Canvas, text_width
from steelyard.report.charts.scales import Scale, from_zero
from steelyard.report.charts.series import Series
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import result_pb2

_BAR_PX, _STEP_PX, _HEAD_PX, _GAP_PX = 11.0, 15.0, 19.0, 12.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 12.0, 6.0, 24.0
_WORDS = {"imported": "runtime only", "loaded": "loaded", "first_run": "first run", "steady": "steady"}


def draw_memory(series: Sequence[Series], *, name: str, width: float) -> Markup | None:
    """Draw the phases of each variant that has any, or return None."""
    shown = [one for one in series if _phases(one)]
    if not shown:
        return None
    height = _TOP + sum(_group_height(one) for one in shown) + _BOTTOM
    canvas = Canvas(
        name=name,
        width=width,
        height=height,
        title="Resident memory by phase",
        description="; ".join(f"{one.variant.label}: {_summary(one)}" for one in shown),
    )
    highest = [float(phase.resident_bytes) for one in shown for phase in _phases(one)]
    highest += [float(one.variant.memory.peak_resident_bytes) for one in shown]
    scale = from_zero(highest, start=_LEFT, end=width - _RIGHT)
    x_axis(canvas, scale, "B", top=_TOP + _HEAD_PX - 4, bottom=height - _BOTTOM)
    top = _TOP
    for one in shown:
        _draw_group(canvas, one, scale, top)
        top += _group_height(one)
    return canvas.markup()


def _draw_group(canvas: Canvas, series: Series, scale: Scale, top: float) -> None:
    memory = series.variant.memory
    canvas.text((4, top + 12), series.label, f"{series.label_kind} halo")
    first = top + _HEAD_PX
    with canvas.group(colour=series.colour, tip=f"{series.variant.label}: {_summary(series)}"):
        for row, phase in enumerate(_phases(series)):
            y = first + row * _STEP_PX
            canvas.text((_LEFT - 8, y + _BAR_PX - 1.5), _WORDS.get(phase.name, phase.name), "tick", anchor="end")
            _draw_bar(canvas, phase, scale, y)
        if memory.HasField("peak_resident_bytes"):
            x = scale(memory.peak_resident_bytes)
            canvas.line((x, first - 3), (x, first + len(_phases(series)) * _STEP_PX - 2), "peak")
            text = f"peak {format_value(memory.peak_resident_bytes, 'B')}"
            left_most = text_width(series.label) * 1.1 + 14 + text_width(text, SMALL_FONT_PX)
            canvas.text((max(x + 2, left_most), top + 12), text, "tick halo", anchor="end")


def _draw_bar(canvas: Canvas, phase: result_pb2.MemoryPhase, scale: Scale, top: float) -> None:
    end = scale(phase.resident_bytes)
    if not (phase.HasField("anonymous_bytes") and phase.HasField("file_bytes")):
        canvas.rect(scale.start, top, end - scale.start, _BAR_PX, "own")
        return
    # What is neither (shared memory) is drawn with the process's own: the bar ends at the resident set.
    split = max(scale.start, end - (scale(phase.file_bytes) - scale.start))
    canvas.rect(scale.start, top, split - scale.start, _BAR_PX, "own")
    canvas.rect(split + 1, top, end - split - 1, _BAR_PX, "mapped")


def _phases(series: Series) -> list[result_pb2.MemoryPhase]:
    return [phase for phase in series.variant.memory.phases if phase.HasField("resident_bytes")]


def _group_height(series: Series) -> float:
    return _HEAD_PX + _STEP_PX * len(_phases(series)) + _GAP_PX


def _summary(series: Series) -> str:
    memory = series.variant.memory
    parts = [f"{_WORDS.get(one.name, one.name)} {format_value(one.resident_bytes, 'B')}" for one in _phases(series)]
    if memory.HasField("peak_resident_bytes"):
        parts.append(f"peak {format_value(memory.peak_resident_bytes, 'B')}")
    return ", ".join(parts)
